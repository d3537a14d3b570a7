/* SPDX-License-Identifier: MIT */
/*
 * link - a client of the daemon's control socket
 *
 * Speaks the form of QMP: is greeted, negotiates, sends a command and waits
 * for the answer that bears its number; events that come meanwhile are kept.
 * What listens on the socket is not trusted: an answer has a greatest length
 * and has to come in time.
 *
 * Functions that fail have logged why, as a sentence that says what to do.
 *
 * Owner: the caller; one thread.
 */
#ifndef CTL_LINK_H
#define CTL_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LINK_MAX_MESSAGE_BYTES (64u << 20)
#define LINK_MAX_EVENTS	       1000 /* kept; the oldest go first */

struct link {
	int fd;
	const char *path; /* not owned */
	int timeout_msec; /* for an answer; -1: none */
	json_int_t nr_commands;
	json_t *events;
	bool quiet; /* errors of the daemon are not logged */
	/* bytes that came and have not been looked at yet */
	char buffer[4096];
	size_t start;
	size_t end;
	/* of the message under way */
	size_t nr_message_bytes;
	unsigned long long deadline_msec;
	const char *fault; /* NULL: the daemon's JSON is wrong, if anything */
};

/* Returns 0 or -errno. link_close() in either case. */
int link_open(struct link *link, const char *path, int timeout_msec);
void link_close(struct link *link);

/*
 * arguments: handed over; NULL: none. Returns what the daemon returns, a new
 * reference; NULL if it refuses, or is gone.
 */
json_t *link_ask(struct link *link, const char *command, json_t *arguments);

/* The same, for a command that need not be there: then NULL, unlogged. */
json_t *link_ask_if_known(struct link *link, const char *command,
			  json_t *arguments);

/* A whole object as it stands. Returns the whole answer; NULL if none comes. */
json_t *link_ask_raw(struct link *link, json_t *object);

/* The next event, however long it takes. NULL: the daemon is gone. */
json_t *link_next_event(struct link *link);

/* Wait for the event of this name about this id. Returns 0 or -errno. */
int link_await(struct link *link, const char *event, const char *id);

/* The process at the other end; 0 if it cannot be known. */
pid_t link_peer(const struct link *link);

#endif
