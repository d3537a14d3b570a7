/* SPDX-License-Identifier: MIT */
/*
 * qmp - a client of a daemon's control socket
 *
 * Functions fail the test when the connection does.
 */
#ifndef E2E_QMP_H
#define E2E_QMP_H

#include <jansson.h>

#include "common/base.h"

struct qmp {
	int fd;
	char *bytes; /* that have come and are no whole message yet */
	size_t nr_bytes;
	json_t *events; /* an array of those that were not asked for yet */
};

/* Connect and negotiate. */
void qmp_open(struct qmp *qmp, const char *path);
void qmp_close(struct qmp *qmp);

/*
 * Run a command, arguments as of printf, in which ' stands for ". Returns its
 * result, a new reference; NULL for an error, whose text is then in
 * qmp_error.
 */
PRINTF_LIKE(3, 4)
json_t *qmp_ask(struct qmp *qmp, const char *command, const char *arguments,
		...);

extern char qmp_error[512];

/* The same in two steps. */
PRINTF_LIKE(3, 4)
void qmp_order(struct qmp *qmp, const char *command, const char *arguments,
	       ...);
json_t *qmp_answer(struct qmp *qmp);

/* The same, when it has to succeed, or has to fail with a text that has why. */
PRINTF_LIKE(3, 4)
void qmp_do(struct qmp *qmp, const char *command, const char *arguments, ...);
PRINTF_LIKE(4, 5)
void qmp_fails(struct qmp *qmp, const char *why, const char *command,
	       const char *arguments, ...);

/*
 * The command returns an array of objects. A new reference to the one in which
 * this member has this text; NULL: there is none.
 */
json_t *qmp_find(struct qmp *qmp, const char *command, const char *arguments,
		 const char *member, const char *text);

/* How many there are. */
size_t qmp_count(struct qmp *qmp, const char *command);

/* Wait for an event; its data, borrowed until the next call. */
json_t *qmp_event(struct qmp *qmp, const char *name);

#endif
