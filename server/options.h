/* SPDX-License-Identifier: MIT */
/*
 * options - what the command line says
 *
 * Parses the words after `ringhost` and checks all that can be checked without
 * touching the image: every value, and which options go together. A refusal is
 * logged as one sentence with the option, the value given, and what it takes.
 *
 * Accepts the command line of the vhost-user back-end program conventions, in
 * which the image is an option and there is no command word.
 *
 * Any thread, one at a time, since getopt_long(3) is.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/server.h"

#define OPTIONS_MAX_QUEUES	      256
#define OPTIONS_MIN_QUEUE_SIZE	      4 /* SeaBIOS needs rings of 3 or more */
#define OPTIONS_MAX_QUEUE_SIZE	      1024
#define OPTIONS_MAX_THREADS	      64
#define OPTIONS_MAX_POLL_USEC	      1000

#define OPTIONS_MIN_FAULT_CACHE_BYTES (UINT64_C(64) << 10)
#define OPTIONS_MAX_FAULT_CACHE_BYTES (UINT64_C(4) << 30)

enum options_command {
	OPTIONS_SERVE,
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_CAPABILITIES,
};

/* All strings are argv's, or constants. */
struct options {
	enum options_command command;
	const char *image;	 /* NULL for drivers without one */
	const char *socket_path; /* NULL: options_socket_path() */
	int fd;			 /* -1: none was inherited */
	mode_t socket_mode;
	gid_t socket_gid;	/* (gid_t)-1: that of the process */
	int verbosity;		/* -1: quiet, 0, 1 for each --verbose */
	const char *log_format; /* "text" or "json" */
	struct server_options server;
	char **run_argv; /* RUN: the command, ends with NULL */
};

/* argv[0] is the program. Returns 0 with *ret set, or -EINVAL (logged). */
int options_parse(int argc, char **argv, struct options *ret);

/*
 * Where to listen: what was given, else the image's file name with ".sock"
 * in the current directory. Returns 0 with *ret set (to be freed) or -ENOMEM.
 */
int options_socket_path(const struct options *options, char **ret);

#endif
