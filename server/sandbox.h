/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what the process gives up once it has all that it needs
 *
 * Whoever takes over a thread here by way of a guest's request or a
 * front-end's message is left with what the server itself does: the image,
 * the guest's memory, the connection. Four parts, each of which would do much
 * alone: no privilege (sandbox_privileges.c), no path (sandbox_landlock.c), no
 * system call but those that serving takes (sandbox_filter.c), and no
 * operation of io_uring but those of its engine (uring.c, always).
 *
 * What an entered sandbox leaves cannot be had back. Nothing may rely on
 * opening a file, connecting a socket or starting a process later, but for a
 * process that opens: it keeps the calls for that, and the paths it names.
 *
 * Control thread, while it is the process's only one that serves: threads
 * inherit all. Another one has no part of it but the filter.
 */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

enum sandbox_mode {
	SANDBOX_AUTO, /* what this host has; told at level info */
	SANDBOX_ON,   /* all of it, or an error */
	SANDBOX_OFF,
};

/* What a process that opens may do with a file, or in and below a directory. */
enum sandbox_use {
	SANDBOX_SERVE,	/* open images, make and remove sockets */
	SANDBOX_READ,	/* read files */
	SANDBOX_STATE,	/* read, make, write and remove files */
	SANDBOX_SOCKET, /* make and remove sockets */
	SANDBOX_REMOVE, /* remove files */
};

struct sandbox_path {
	int fd; /* as O_PATH opens it; borrowed */
	enum sandbox_use use;
};

struct sandbox_options {
	enum sandbox_mode mode;
	/* A file to be removed at the end; -1, NULL: there is none. */
	int directory_fd;
	const char *file_name;
	pid_t child; /* to be signalled and waited for; 0: there is none */
	/* It opens images, and makes sockets and threads, while it serves. */
	bool opens;
	bool binds_tcp; /* it opens, and listens on a port, too */
	/* These and no others; none: what its user may. */
	const struct sandbox_path *paths;
	unsigned int nr_paths;
};

/* Returns 0, or -errno (logged): SANDBOX_ON only. */
int sandbox_enter(const struct sandbox_options *options);

#endif
