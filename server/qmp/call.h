/* SPDX-License-Identifier: MIT */
/*
 * call - one command, from where it was given to its answer
 *
 * Commands come from a client of the control socket, from the command line, or
 * from a file; to a command that makes no difference. It is answered exactly
 * once, at once or later, with qmp_return() or qmp_refuse().
 *
 * Owner: whoever made it frees it in answered(); the command touches it no
 * more after its answer. Control thread.
 */
#ifndef SERVER_QMP_CALL_H
#define SERVER_QMP_CALL_H

#include <jansson.h>
#include <stdbool.h>

#define QMP_WHY_BYTES 512

struct qmp_call {
	json_t *arguments; /* borrowed; NULL: none */
	bool typed;	   /* see args.h */
	/*
	 * value: the result, a reference that is handed over; NULL: refused,
	 * for why. class: NULL for GenericError.
	 */
	void (*answered)(struct qmp_call *call, json_t *value,
			 const char *class, const char *why);
	/*
	 * NULL where the command came from no socket; see qmp_lend_socket().
	 */
	int (*lend_socket)(struct qmp_call *call);
};

/* value: handed over; NULL: an empty object, which says "done". */
void qmp_return(struct qmp_call *call, json_t *value);

/*
 * The socket over which the command came, as a duplicate that is the caller's:
 * from now on its session says nothing but the answer to this command, and
 * reads nothing; it ends when the client does. Returns -EOPNOTSUPP where the
 * command came from no socket, or another -errno.
 */
int qmp_lend_socket(struct qmp_call *call);

/* A sentence without a full stop at its end. */
void qmp_refuse(struct qmp_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* class: "DeviceNotFound", "CommandNotFound", ... */
void qmp_refuse_as(struct qmp_call *call, const char *class, const char *format,
		   ...) __attribute__((format(printf, 3, 4)));

#endif
