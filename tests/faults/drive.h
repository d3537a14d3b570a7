/* SPDX-License-Identifier: MIT */
/*
 * drive - servers in which one thing fails
 *
 * Three phases, each of which has its own idea of what may come of a fault:
 *
 *	start	a server of its own for each fault. It does not start, says
 *		why, and ends with status 1; or it serves.
 *	serve	a row's faults in one server, a session for each that uses what
 *		the control path has to offer. The session may fail, or end; the
 *		next front-end is served within a second, and nothing is left.
 *	stop	a server of its own again, asked to end while it serves. It
 *		ends, with status 0, or with 1 and says why.
 *
 * A fault that is one of EINTR must not be seen by anybody.
 *
 * Owner: the test's one thread.
 */
#ifndef FAULTS_DRIVE_H
#define FAULTS_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/e2e/server.h"
#include "tests/faults/plan.h"

enum drive_phase {
	DRIVE_START,
	DRIVE_SERVE,
	DRIVE_STOP,
	DRIVE_NR_PHASES
};

struct drive {
	struct plan *plan;
	const char *options[4]; /* up to a NULL */
	enum drive_phase phase;
	struct server server; /* of the phase serve: for a row's faults */
	int nr_fds;	      /* of a server without a session, by engine: */
	int nr_fds_threads;
	unsigned int nr_calls[PLAN_MAX_ROWS]; /* of the last phase, by row */
	char text[256];			      /* what was wrong */
};

struct drive_fault {
	unsigned int row;
	int error;	 /* a positive errno */
	bool each;	 /* and not only some, where there are many */
	bool keeps_maps; /* a mapping may be left over */
};

/*
 * Share a plan with all servers to come, which run program. phase: a name from
 * above. Returns 0, or -errno.
 */
int drive_init(struct drive *drive, const char *program, const char *phase);
void drive_deinit(struct drive *drive);

/* Whether all is to be done that can be: what RINGHOST_SOAK says. */
bool drive_is_thorough(void);

/* A server without a fault, whose calls are counted. */
bool drive_run_unharmed(struct drive *drive);

/*
 * Each call of the fault's row fails in turn, or some if there are many; the
 * first ones are spared. False, and says so, if anything was wrong, or none
 * failed.
 */
bool drive_sweep(struct drive *drive, const struct drive_fault *fault,
		 unsigned int nr_spared);

#endif
