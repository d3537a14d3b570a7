/* SPDX-License-Identifier: MIT */
/*
 * manager - a service manager, as a program that it starts sees it
 *
 * It has a socket for what is told with sd_notify(3), and passes listening
 * sockets on as of sd_listen_fds(3). One at a time.
 */
#ifndef E2E_MANAGER_H
#define E2E_MANAGER_H

#include "tests/e2e/server.h"

#define MANAGER_MAX_SOCKETS 4

struct manager {
	int fd; /* what the program tells us */
	bool abstract;
	char dir[64];
	char address[96]; /* of fd, as in NOTIFY_SOCKET */
	unsigned int watchdog_usec;
	bool watchdog_of_others;
	unsigned int nr_sockets;
	int sockets[MANAGER_MAX_SOCKETS];
	char paths[MANAGER_MAX_SOCKETS][96];
	const char *names; /* LISTEN_FDNAMES; NULL: it is not set */
	char said[512];	   /* the last message */
};

/* In these before: abstract, watchdog_usec, watchdog_of_others, names. */
void manager_begin(struct manager *manager);
void manager_end(struct manager *manager);

/* One more socket to be passed on. */
void manager_listen(struct manager *manager);

/* For struct server_options and daemon_how: in the child. */
void manager_prepare(const struct server *server);

/*
 * Wait for a message with a line that begins like this; others before it are
 * read as well. Returns the line's rest.
 */
const char *manager_hears(struct manager *manager, const char *line);

/* What has come so far has no such line; read as well. */
void manager_has_not_heard(struct manager *manager, const char *line);

#endif
