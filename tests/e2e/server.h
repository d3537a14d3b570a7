/* SPDX-License-Identifier: MIT */
/*
 * server - a server process under test: started, watched, stopped
 *
 * The program is the one that the environment variable SERVER names; without
 * it there is nothing to test. It takes ringhost's command line: options, then the
 * image. SERVER_OPTIONS holds further options, divided by spaces, so that one
 * test program runs with each engine. Everything that a server needs lies in
 * a temporary directory of its own, which goes when it is stopped.
 *
 * Functions return 0 or -errno. A server never outlives the test program.
 */
#ifndef E2E_SERVER_H
#define E2E_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/frontend/clock.h"

#define SERVER_MAX_OPTIONS 16
#define SERVER_IMAGE_BYTES (8u << 20)
#define SERVER_START_MSEC  FE_PATIENCE_MSEC
#define SERVER_STOP_MSEC   FE_PATIENCE_MSEC

struct server;

struct server_options {
	uint64_t image_bytes; /* 0: SERVER_IMAGE_BYTES */
	const char *image;    /* that of another server, by a link */
	bool no_image;	      /* nor a name of one for the program */
	const char *socket;   /* NULL: a path in the directory */
	bool pass_listening;  /* --fd= with a listening socket */
	bool pass_connected;  /* --fd= with one end of a pair */
	bool passed; /* by prepare(): no option names a socket; nor do we wait */
	unsigned int nr_inherited_fds; /* open in the server, for nothing */
	const char *options[SERVER_MAX_OPTIONS + 1]; /* up to a NULL */
	/* NULL, or what the child does to itself before it becomes the server */
	void (*prepare)(const struct server *server);
};

struct server {
	char dir[64];
	char image[96];
	char socket[128];
	char log[96]; /* its standard error */
	pid_t pid;
	int connected_fd; /* our end, of pass_connected */
};

/*
 * True, and says so in TAP, when there is no program to test; for main().
 */
bool server_is_missing(void);

/* True for the server that serves real storage with a real command line. */
bool server_is_ringhost(void);

/*
 * Make an image of zeroes and start the program on it; returns when it
 * listens. options: NULL for the usual ones. -ECHILD: it ended at once, or
 * with --fd it may end later.
 */
int server_start(struct server *server, const struct server_options *options);

/*
 * Kill it with SIGKILL, wherever it is, and start the program again on the
 * same image and socket; returns when it listens.
 */
int server_kill_and_restart(struct server *server,
			    const struct server_options *options);

/*
 * Start the program again on the same image and socket, after it has ended
 * and was waited for.
 */
int server_start_again(struct server *server,
		       const struct server_options *options);

/* Wait for the end of the process. Returns its exit status, 128 + signal. */
int server_wait(struct server *server, int timeout_msec);

/*
 * Ask it to end with SIGTERM, and wait. Returns the exit status as above, or
 * -ETIMEDOUT: it was killed then. stop: and remove the directory.
 */
int server_end(struct server *server);
int server_stop(struct server *server);

/* Remove the directory of a server that has ended. */
void server_clean_up(struct server *server);

bool server_runs(struct server *server);

/* How many fds it has open, how much memory is resident, CPU time used. */
int server_nr_fds(const struct server *server);
int64_t server_rss_bytes(const struct server *server);
int64_t server_cpu_msec(const struct server *server);

/*
 * False if it takes more CPU time than that whenever so much time passes, as
 * one that spins does. Asked again and again before it is believed: what the
 * host of a VM takes for itself is CPU time of whoever was running.
 */
bool server_is_idle(const struct server *server, unsigned int msec,
		    int64_t most_cpu_msec);
int server_nr_maps(const struct server *server);

/* Lines of its log that contain text. */
unsigned int server_log_count(const struct server *server, const char *text);

/* True if somebody listens on the AF_UNIX socket at path. */
bool server_listens(const char *path);

/*
 * Fixtures for cmocka: a server with the usual options, in *state. Tearing
 * down fails unless it ended with status 0.
 */
int server_set_up(void **state);
int server_tear_down(void **state);

#endif
