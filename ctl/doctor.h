/* SPDX-License-Identifier: MIT */
/*
 * doctor - is this host fit to serve disks, and if not, what is to be done
 *
 * Each finding is a line: ok, warning (it works, with something less) or
 * problem (it does not). A file doctor_SUBJECT.c has what is looked at of a
 * subject. Nothing is changed, nothing is connected to but the daemon.
 *
 * The process's only thread.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <jansson.h>
#include <sys/types.h>

#include "common/base.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARNING,
	DOCTOR_PROBLEM,
};

struct doctor {
	json_t *findings;
	enum doctor_verdict worst;
	pid_t daemon;	       /* its process; 0: none, or not known */
	unsigned int nr_disks; /* of it */
	const char *user;      /* that is to connect; NULL: the usual ones */
};

/*
 * One finding about a subject: what was seen, and behind a semicolon what to
 * do about it.
 */
PRINTF_LIKE(4, 5)
void doctor_say(struct doctor *doctor, enum doctor_verdict verdict,
		const char *subject, const char *format, ...);

/* doctor_host.c: the kernel and the limits of the process, or the daemon's */
void doctor_host(struct doctor *doctor);

/* doctor_image.c: can it be opened, who has it, how is it aligned? */
void doctor_image(struct doctor *doctor, const char *path);

/* doctor_socket.c: who may connect to it, or to sockets in this directory? */
void doctor_socket(struct doctor *doctor, const char *path);

/*
 * The first line of a file below /proc or /sys, without its end. Returns false
 * if there is none.
 */
bool doctor_read(const char *path, char *ret, size_t nr_bytes);

#endif
