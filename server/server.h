/* SPDX-License-Identifier: MIT */
/*
 * server - the export, its workers, signals, and the order of the shutdown
 *
 * The control thread's loop: it waits for the export and for signals. SIGTERM,
 * SIGINT and SIGHUP end it after what is under way has ended; SIGUSR1 has the
 * export look at its image's size again.
 *
 * Control thread, which must be the process's only one at server_create():
 * signals are blocked from there on, and workers inherit that.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "server/engine.h"
#include "server/export.h"
#include "server/sandbox.h"

struct server_options {
	struct export_options export;
	const struct driver_ops *driver;
	struct driver_options driver_options;
	unsigned int nr_workers;
	unsigned int poll_usec; /* of each worker before it sleeps; 0: none */
	enum engine_kind engine;
	bool engine_given; /* by the user: no silent fallback */
	bool exit_on_disconnect;
	enum sandbox_mode sandbox;
};

/* Somebody who takes part in the loop, such as the parent of a VM. */
struct server_watch {
	/* Returns true when the signal needs nothing more from the server. */
	bool (*signal)(struct server_watch *watch,
		       const struct signalfd_siginfo *info);
	/* The server goes on, also without a socket, while this is true. */
	bool busy;
};

struct server;

/*
 * Open the image and make all else that the process will need; no thread yet.
 * Returns 0 with *ret set, or -errno (logged, as by all functions here).
 */
int server_create(const struct server_options *options, struct server **ret);

/* NULL is accepted. Removes the socket that server_listen() made. */
void server_destroy(struct server *server);

/* One of the three, once. path: borrowed until destroy; fd: taken. */
int server_listen(struct server *server, const char *path, mode_t mode,
		  gid_t gid);
int server_adopt(struct server *server, int fd);
int server_connect(struct server *server, int fd);

/*
 * Tell the service manager of it, if there is one, from now on, when server_ready()
 * says so, and as long as server_run() runs. Before server_start().
 */
void server_tell_manager(struct server *server);
void server_ready(struct server *server);

/*
 * Confine the process, as the options say, then start the workers; once,
 * before server_run(). child: a process that it may signal and wait for; 0:
 * none.
 */
int server_start(struct server *server, pid_t child);

/*
 * Serve until a signal ends it, the last socket is gone, or the export fails.
 * watch: NULL, or who takes part. Returns 0 or -errno.
 */
int server_run(struct server *server, struct server_watch *watch);

/* End the sessions; server_run() returns when they have ended. */
void server_stop(struct server *server);

/* "io_uring" or "threads" */
const char *server_engine_name(const struct server *server);
const struct driver_info *server_disk(const struct server *server);

#endif
