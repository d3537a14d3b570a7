/* SPDX-License-Identifier: MIT */
/*
 * daemon - `ringhost daemon` under test, with a control socket
 *
 * A directory of its own holds its images and sockets, named by the test; it
 * is the daemon's current directory, so that their names will do.
 */
#ifndef E2E_DAEMON_H
#define E2E_DAEMON_H

#include "tests/e2e/client.h"
#include "tests/e2e/qmp.h"
#include "tests/frontend/clock.h"

#define DAEMON_IMAGE_BYTES (8u << 20)

/* For one that starts, and one that writes to the disk what is in its cache. */
#define DAEMON_PATIENCE_MSEC (3 * SERVER_START_MSEC)

struct daemon {
	struct server server; /* its dir, log and pid; for server_...() */
	struct qmp qmp;
};

/*
 * I/O threads t0 and t1; e0.sock: disk0 of a.img, 4 queues, on t0; e1.sock:
 * disk1, which forgets, 2 queues, on the shared I/O thread.
 */
extern const char *const daemon_two_disks[];

/*
 * Start it with these further options, up to a NULL; it gets images a.img and
 * b.img first, and may open nothing outside of its directory. Fails the test
 * if it does not serve.
 */
void daemon_start(struct daemon *daemon, const char *const *options);

/*
 * The same in two steps: its directory with the images, and the process. It may
 * be started again, once it has ended, with daemon_begin() alone.
 */
void daemon_prepare(struct daemon *daemon);
void daemon_begin(struct daemon *daemon, const char *const *options);

struct daemon_how {
	const char *const *options;
	bool opens_all; /* whatever its user may, unless options say less */
	/* NULL, or what the child does to itself before it becomes the daemon */
	void (*prepare)(const struct server *server);
};

void daemon_start_as(struct daemon *daemon, const struct daemon_how *how);

/*
 * Start it, and no client. Returns 0, or -ECHILD when it has ended instead;
 * to be waited for then.
 */
int daemon_try(struct daemon *daemon, const struct daemon_how *how);

/*
 * Start another one with these options, up to a NULL, which takes its place.
 * The first one has to end with status 0. Fails the test if that fails.
 */
void daemon_succeed(struct daemon *daemon, const char *const *options);
void daemon_succeed_as(struct daemon *daemon, const struct daemon_how *how);

/* The same for one that has to fail, with a log that says why. */
void daemon_does_not_succeed(struct daemon *daemon, const char *why,
			     const char *const *options);

/* The same in two steps, of which the first returns the process. */
pid_t daemon_start_successor(const struct daemon *daemon,
			     const char *const *options);
void daemon_successor_fails(struct daemon *daemon, pid_t pid, const char *why);

/*
 * Play a scenario that returns false where the machine has stood still for so
 * long that nothing was to be seen: again then, ten times at most.
 */
void daemon_play(bool (*scenario)(void));

/* Look again and again until it is so; fails the test if it never is. */
#define AWAIT(condition)                                                       \
	do {                                                                   \
		uint64_t await_end = fe_deadline(DAEMON_PATIENCE_MSEC);        \
                                                                               \
		while (!(condition)) {                                         \
			assert_true(fe_now_usec() < await_end);                \
			usleep(1000);                                          \
		}                                                              \
	} while (0)

/* False in a build without libmicrohttpd, which says so when it is asked. */
bool daemon_has_metrics(void);

/* Ask it to quit; it has to end with status 0. */
void daemon_stop(struct daemon *daemon);

/* Ask it to quit, or kill it, and keep its directory. */
void daemon_end(struct daemon *daemon);
void daemon_kill(struct daemon *daemon);

/* What client_open() takes for the socket of this name. */
const struct server *daemon_at(struct daemon *daemon, const char *socket);

/* Offer this node by this id, writable, on a socket ID.sock. */
void daemon_export(struct daemon *daemon, const char *id, const char *node);

/*
 * Open b.img as a node of this name, with faults, an array of their rules, and
 * offer it by the same name.
 */
void daemon_export_faulty(struct daemon *daemon, const char *name,
			  const char *faults);

/* A member of what query-block-exports says of it, true or false. */
bool daemon_export_is(struct daemon *daemon, const char *id,
		      const char *member);

/*
 * Whoever opens this image for writing waits until the file descriptor that
 * this returns, a lease, is closed; but for the kernel's patience, which is 45
 * seconds.
 */
int daemon_hold_image(struct daemon *daemon, const char *name);

/* Wait until somebody does. */
void daemon_await_opener(int fd);

#endif
