/* SPDX-License-Identifier: MIT */
/*
 * fake-daemon - listens on a socket and says what a test wants it to say
 *
 * It sends the first text at once, and each further one when another line has
 * come. After the last one it waits for its client's end.
 */
#ifndef TESTS_UNIT_FAKE_DAEMON_H
#define TESTS_UNIT_FAKE_DAEMON_H

#include <pthread.h>
#include <stdbool.h>

#define FAKE_GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define FAKE_READY    "{\"return\": {}, \"id\": 1}\r\n"

struct fake_daemon {
	char dir[32];
	char path[48];
	int fd;
	pthread_t thread;
	const char *const *texts; /* up to a NULL */
	bool hangs_up;		  /* after the last one, at once */
	char heard[4096];	  /* all that came; after fake_daemon_end() */
};

/* texts: they stay. */
void fake_daemon_begin(struct fake_daemon *fake, const char *const *texts,
		       bool hangs_up);

/* Its client has gone. */
void fake_daemon_end(struct fake_daemon *fake);

#endif
