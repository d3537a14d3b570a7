/* SPDX-License-Identifier: MIT */
/*
 * commands - what a client of the control socket can have done
 *
 * Names and arguments are those of QEMU's storage daemon, so that its clients
 * find what they know; what is our own begins with "x-". commands.c has the
 * table; a file commands_SUBJECT.c has the commands of a subject.
 *
 * Control thread.
 */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H

#include "server/daemon.h"
#include "server/qmp/args.h"
#include "server/qmp/call.h"

/* Carry out the command of this name; call is answered once, now or later. */
void commands_run(struct daemon *daemon, const char *name,
		  struct qmp_call *call);

/*
 * The commands, each with its arguments in call; named after them, and
 * documented in ringhost-qmp(7).
 */
void command_block_export_add(struct daemon *daemon, struct qmp_call *call);
void command_block_export_del(struct daemon *daemon, struct qmp_call *call);
void command_query_block_exports(struct daemon *daemon, struct qmp_call *call);
void command_x_export_drain(struct daemon *daemon, struct qmp_call *call);
void command_x_export_pause(struct daemon *daemon, struct qmp_call *call);
void command_x_export_resume(struct daemon *daemon, struct qmp_call *call);
void command_x_export_move(struct daemon *daemon, struct qmp_call *call);

void command_blockdev_add(struct daemon *daemon, struct qmp_call *call);
void command_blockdev_del(struct daemon *daemon, struct qmp_call *call);
void command_block_resize(struct daemon *daemon, struct qmp_call *call);
void command_query_named_block_nodes(struct daemon *daemon,
				     struct qmp_call *call);

void command_object_add(struct daemon *daemon, struct qmp_call *call);
void command_object_del(struct daemon *daemon, struct qmp_call *call);
void command_query_iothreads(struct daemon *daemon, struct qmp_call *call);

void command_qom_get(struct daemon *daemon, struct qmp_call *call);
void command_qom_set(struct daemon *daemon, struct qmp_call *call);
void command_x_export_limit(struct daemon *daemon, struct qmp_call *call);

void command_query_blockstats(struct daemon *daemon, struct qmp_call *call);
void command_x_query_stats(struct daemon *daemon, struct qmp_call *call);
void command_x_query_hand_over(struct daemon *daemon, struct qmp_call *call);
void command_x_hand_over(struct daemon *daemon, struct qmp_call *call);

void command_query_commands(struct daemon *daemon, struct qmp_call *call);
void command_query_version(struct daemon *daemon, struct qmp_call *call);
void command_quit(struct daemon *daemon, struct qmp_call *call);

void command_x_config_reload(struct daemon *daemon, struct qmp_call *call);

/* What object-add makes, up to a NULL; sections of files are named so, too. */
extern const char *const command_object_types[];

/* Returns true, with a sentence in why, if there is one with this id. */
bool command_object_exists(struct daemon *daemon, const char *id,
			   char why[ARGS_WHY_BYTES]);

/* The rest of object-add and object-del. id: NULL is an error already. */
void command_add_secret(struct daemon *daemon, struct args *args,
			struct qmp_call *call, const char *id);
void command_add_throttle_group(struct daemon *daemon, struct args *args,
				struct qmp_call *call, const char *id);
void command_del_throttle_group(struct daemon *daemon, struct qmp_call *call,
				struct throttle_group *group);

/*
 * Limits, in an object inside; those that it does not have stay as they are in
 * limits. Returns false if it is not there.
 */
bool command_take_limits(struct args *args, const char *name,
			 const char *prefix, struct throttle_limits *limits);

/*
 * The same as an object, all of them or those that are in force; and the ids of
 * a node's groups. New references.
 */
json_t *command_limits(const struct throttle_limits *limits, bool all);
json_t *command_groups_of(struct daemon *daemon, const struct node *node);

/*
 * The end of a command that can only fail by what was logged: answer with
 * that, or with "done" if error is 0. complaint_begin() came before it.
 */
void command_end(struct qmp_call *call, int error);

#endif
