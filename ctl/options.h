/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost ctl`
 *
 * Options stand before the command or behind it. Checks what can be checked
 * without a daemon; a refusal is logged as one sentence. Any thread, one at a
 * time, since getopt_long(3) is.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define CTL_DEFAULT_SOCKET	"/run/ringhost/control.sock"
#define CTL_DEFAULT_TIMEOUT_SEC 30
#define CTL_MAX_IOTHREADS	64
#define CTL_MAX_ARGS		64

/* Which options a command takes besides those of all. */
enum ctl_option {
	CTL_ADD = 1 << 0, /* what `add` says of a disk */
	CTL_HARD = 1 << 1,
	CTL_KEEP_NODE = 1 << 2,
	CTL_QUEUE = 1 << 3,
	CTL_QUEUES = 1 << 4,
	CTL_SHRINK = 1 << 5,
	CTL_TOP = 1 << 6,
	CTL_USER = 1 << 7,
};

/* All strings are argv's, or constants. */
struct ctl_options {
	const char *socket; /* the daemon's */
	bool json;
	bool help;
	int timeout_msec; /* -1: none */

	const char *command; /* NULL with help */
	const char *args[CTL_MAX_ARGS];
	unsigned int nr_args;

	/* add */
	const char *image;
	const char *disk_socket;
	const char *serial, *socket_mode, *socket_group;
	const char *iothreads[CTL_MAX_IOTHREADS];
	unsigned int nr_iothreads;
	unsigned int nr_queues; /* 0: the daemon's default */
	bool read_only, direct;

	bool hard, keep_node, shrink;
	int queue; /* move; -1: all */

	/* stats, top */
	bool by_queue;
	bool batch;
	unsigned int count; /* 0: without end */
	unsigned int delay_msec;

	const char *user; /* doctor; NULL: those that virtual machines run as */
};

/* A command as its command line is checked. */
struct ctl_syntax {
	const char *name;
	const char *arguments; /* "ID SIZE", as the refusal shows it */
	unsigned int min_args, max_args;
	unsigned int options; /* enum ctl_option */
};

/*
 * argv[0] is the word "ctl". syntax: NULL for a word that is no command.
 * Returns 0 with *ret set, or -EINVAL (logged).
 */
int ctl_options_parse(int argc, char **argv,
		      const struct ctl_syntax *(*find)(const char *name),
		      struct ctl_options *ret);

extern const char ctl_options_help[];

#endif
