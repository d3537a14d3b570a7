/* SPDX-License-Identifier: MIT */
/*
 * commands - what a client of the control socket can have done
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/commands.h"
#include "server/complaint.h"
#include "server/qmp/session.h"

#define TAG "ringhost"

static const struct row {
	const char *name;
	void (*run)(struct daemon *daemon, struct qmp_call *call);
	bool bare; /* takes no arguments */
} rows[] = {
	{ "block-export-add", command_block_export_add },
	{ "block-export-del", command_block_export_del },
	{ "block_resize", command_block_resize },
	{ "blockdev-add", command_blockdev_add },
	{ "blockdev-del", command_blockdev_del },
	{ "object-add", command_object_add },
	{ "object-del", command_object_del },
	{ "qom-get", command_qom_get },
	{ "qom-set", command_qom_set },
	{ "query-block-exports", command_query_block_exports, true },
	{ "query-blockstats", command_query_blockstats },
	{ "query-commands", command_query_commands, true },
	{ "query-iothreads", command_query_iothreads, true },
	{ "query-named-block-nodes", command_query_named_block_nodes },
	{ "query-version", command_query_version, true },
	{ "quit", command_quit, true },
	{ "x-config-reload", command_x_config_reload },
	{ "x-export-drain", command_x_export_drain },
	{ "x-export-limit", command_x_export_limit },
	{ "x-export-move", command_x_export_move },
	{ "x-export-pause", command_x_export_pause },
	{ "x-export-resume", command_x_export_resume },
	{ "x-query-stats", command_x_query_stats },
	{ "x-hand-over", command_x_hand_over },
	{ "x-query-hand-over", command_x_query_hand_over, true },
};

/* A command that changes what there is, until it is answered. */
struct kept_call {
	struct qmp_call call;
	struct qmp_call *outer; /* who gave it */
	struct daemon *daemon;
	const char *command;
};

static void kept_answered(struct qmp_call *call, json_t *value,
			  const char *class, const char *why)
{
	struct kept_call *kept = container_of(call, struct kept_call, call);
	struct qmp_call *outer = kept->outer;

	if (value && journal_note(&kept->daemon->journal, kept->command,
				  outer->arguments, outer->typed) < 0)
		rh_log(RH_LOG_WARNING, TAG, "there is no memory to remember %s",
		       kept->command);
	free(kept);
	outer->answered(outer, value, class, why);
}

/* Run it so that it is in the journal when it has succeeded. */
static void run_kept(struct daemon *daemon, const struct row *row,
		     struct qmp_call *call)
{
	struct kept_call *kept = calloc(1, sizeof(*kept));

	if (!kept) {
		qmp_refuse(call, "out of memory");
		return;
	}
	*kept = (struct kept_call){
		.call = {
			.arguments = call->arguments,
			.typed = call->typed,
			.answered = kept_answered,
		},
		.outer = call,
		.daemon = daemon,
		.command = row->name,
	};
	row->run(daemon, &kept->call);
}

static bool refuse_arguments(struct qmp_call *call)
{
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	if (args_end(&args) == 0)
		return false;
	qmp_refuse(call, "%s", args.why);
	return true;
}

/* Returns true when the command was answered without being run. */
static bool answer_at_once(struct daemon *daemon, const char *name,
			   struct qmp_call *call)
{
	bool asks =
		!strncmp(name, "query-", 6) || !strncmp(name, "x-query-", 8);

	if (daemon->quitting) {
		qmp_refuse(call, "The daemon is about to end");
		return true;
	}
	if (!asks && giver_busy(&daemon->giver)) {
		qmp_refuse(call, "Another process is about to take over: give "
				 "the command to that one");
		return true;
	}
	if (daemon->inherits && !daemon->repeats &&
	    journal_has(&daemon->journal, name, call->arguments)) {
		qmp_return(call, NULL);
		return true;
	}
	return false;
}

void commands_run(struct daemon *daemon, const char *name,
		  struct qmp_call *call)
{
	if (answer_at_once(daemon, name, call))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		if (rows[i].bare && refuse_arguments(call))
			return;
		complaint_begin();
		if (journal_keeps(name))
			run_kept(daemon, &rows[i], call);
		else
			rows[i].run(daemon, call);
		return;
	}
	qmp_refuse_as(call, "CommandNotFound",
		      "The command %.64s has not been found", name);
}

void command_end(struct qmp_call *call, int error)
{
	if (error)
		qmp_refuse(call, "%s", complaint_text(error));
	else
		qmp_return(call, NULL);
}

void command_query_commands(struct daemon *daemon, struct qmp_call *call)
{
	json_t *list = json_array();

	(void)daemon;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		json_array_append_new(list,
				      json_pack("{s:s}", "name", rows[i].name));
	json_array_append_new(list,
			      json_pack("{s:s}", "name", "qmp_capabilities"));
	qmp_return(call, list);
}

void command_query_version(struct daemon *daemon, struct qmp_call *call)
{
	(void)daemon;
	qmp_return(call, qmp_version());
}

void command_quit(struct daemon *daemon, struct qmp_call *call)
{
	qmp_return(call, NULL);
	daemon_quit(daemon, "host-qmp-quit");
}
