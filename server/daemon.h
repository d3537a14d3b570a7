/* SPDX-License-Identifier: MIT */
/*
 * daemon - many disks in one process, changed while it runs
 *
 * All that can be changed is changed by a command (commands.h), wherever it
 * comes from: the command line is a list of commands that are carried out
 * before the process serves.
 *
 * Control thread.
 */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <jansson.h>
#include <stdbool.h>

#include "server/activation.h"
#include "server/exports.h"
#include "server/handover.h"
#include "server/iothreads.h"
#include "server/jobs.h"
#include "server/journal.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/secrets.h"
#include "server/size_watch.h"
#include "server/throttle_groups.h"

struct record;
struct reload;

struct daemon {
	struct loop loop;
	struct jobs jobs;
	struct iothreads iothreads;
	struct throttle_groups throttle_groups;
	struct secrets secrets;
	struct list_node nodes; /* struct node */
	struct exports exports;
	struct journal journal;
	struct list_node monitors; /* struct monitor */
	struct record *record;	   /* NULL: there is no --state-dir */
	struct reload *reload;	   /* NULL: there are no configuration files */
	struct size_watch size_watch;
	struct list_node metrics; /* struct daemon_metrics */
	struct loop_watch signals;
	int signal_fd;
	struct giver giver;
	struct notify notify;
	struct loop_watch notify_timer;
	const struct activation *activation; /* not owned */
	bool quitting;
	bool inherits; /* what another one has made need not be made again */
	bool repeats;  /* commands of that one; its sockets come later */
};

/*
 * ringhost daemon OPTIONS, from argv[0], which is "daemon", on. Returns the
 * exit status.
 */
int daemon_main(int argc, char **argv);

/*
 * Before anything is served: wait until jobs have brought about that *ended is
 * true. Returns 0, -ETIME when none runs or the time is over (-1: it never is),
 * or -EINTR when the daemon is to end: *ended may be set later, then, too.
 */
int daemon_await(struct daemon *daemon, const bool *ended, int timeout_msec);

/* To all clients of the control socket. data: handed over; NULL: none. */
void daemon_tell(struct daemon *daemon, const char *event, json_t *data);

/* End: all exports, then the loop. reason: of the event SHUTDOWN. */
void daemon_quit(struct daemon *daemon, const char *reason);

/* Its size has changed from old_bytes on: tell guests and clients. */
void daemon_node_resized(struct daemon *daemon, struct node *node,
			 uint64_t old_bytes);

/* NULL: there is none of this name. */
struct node *daemon_find_node(struct daemon *daemon, const char *name);

#endif
