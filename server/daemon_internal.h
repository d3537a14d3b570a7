/* SPDX-License-Identifier: MIT */
/*
 * daemon_internal - what the files of the daemon share
 *
 * daemon.c has the loop and what is told, daemon_options.c the command line,
 * daemon_monitor.c the control sockets, daemon_start.c how the process becomes
 * one.
 */
#ifndef SERVER_DAEMON_INTERNAL_H
#define SERVER_DAEMON_INTERNAL_H

#include "server/daemon.h"
#include "server/qmp/monitor.h"
#include "server/socket_file.h"

/* A control socket. */
struct monitor {
	struct list_node link;
	struct qmp_monitor *monitor;
	struct socket_file socket_file;
	char *path;
};

static inline struct monitor *monitor_of(struct list_node *node)
{
	return container_of(node, struct monitor, link);
}

/* daemon.c: returns 0 or -errno (logged), and needs daemon_deinit() then, too. */
int daemon_init(struct daemon *daemon, enum engine_kind engine,
		bool engine_given);
void daemon_deinit(struct daemon *daemon);

/* Until it was told to quit, and all exports have ended. */
int daemon_run(struct daemon *daemon);

/* daemon_monitor.c: returns 0 or -errno (logged). */
int daemon_add_monitor(struct daemon *daemon, const char *path, bool pretty);
void daemon_remove_monitor(struct monitor *monitor);

#define MAX_CHARDEVS 8

/* A socket of the command line that a monitor may use. */
struct chardev {
	json_t *object; /* what it was given in; owned */
	const char *id;
	const char *path;
};

/* What the command line says that is no command. */
struct start {
	struct daemon daemon;
	struct chardev chardevs[MAX_CHARDEVS];
	unsigned int nr_chardevs;
	enum engine_kind engine;
	bool engine_given;   /* no silent fallback */
	const char *pidfile; /* NULL: none */
	char *made_pidfile;  /* its absolute path, once it is there */
	bool daemonize;
	bool help;
	bool version;
};

/*
 * daemon_options.c: take those options that come before the daemon is there
 * (early), or all others. Returns 0 or -errno (logged).
 */
int daemon_take_options(struct start *start, int argc, char **argv, bool early);

#endif
