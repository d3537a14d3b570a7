/* SPDX-License-Identifier: MIT */
/*
 * hostile - what has to hold after an attack, whatever it was
 *
 * One server is attacked, by all tests of a program and in whatever state the
 * one before has left it. A second one, the neighbour, has a client of its
 * own whose I/O runs all the time, in a thread of this program.
 *
 * After each test, or more often, hostile_check() looks that the server lives;
 * that a fresh front-end does an I/O within a second, in one of three tries,
 * since the machine may do other things; that the server has as many fds,
 * mappings and threads as it had before the first attack; and that the
 * neighbour's client has seen no error and did not have to wait.
 *
 *	static void it_is_refused(void **state)
 *	{
 *		struct hostile *hostile = *state;
 *		... hostile->server ...
 *	}
 *	...
 *	const struct CMUnitTest tests[] = { HOSTILE(it_is_refused) };
 *	return hostile_run("socket", tests, ARRAY_SIZE(tests));
 *
 * Owner: the test's thread.
 */
#ifndef E2E_HOSTILE_H
#define E2E_HOSTILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/e2e/client.h"

/* What a server holds of the kernel while nobody is connected. */
struct hostile_holdings {
	int nr_fds;
	int nr_shared_maps;  /* of files and memory that others have, too */
	int nr_private_maps; /* a sanitizer makes them as it likes */
	int nr_threads;	     /* without pools, which grow and shrink */
};

/* A client of another server, in a thread of its own. */
struct hostile_neighbour {
	struct server server;
	struct client client;
	pthread_t thread;
	int stop_fd; /* -1: there is no thread */
	atomic_int error;
	atomic_uint nr_done;		/* writes that were read back */
	_Atomic(uint64_t) longest_usec; /* that one of them took */
};

struct hostile {
	struct server server;
	struct hostile_holdings base;
	struct hostile_neighbour neighbour;
};

/*
 * Start both servers, run the tests, stop them; the servers have to end with
 * status 0. Returns what cmocka returns. Without a program to test all of it
 * counts as skipped.
 */
struct CMUnitTest;
int hostile_run(const char *name, const struct CMUnitTest *tests,
		unsigned int nr_tests);

/*
 * True if all of the above holds; else a line says what does not. No session
 * of the caller's may be open then.
 */
bool hostile_check(struct hostile *hostile);

/*
 * The same without what the server holds, for engines that hold what they
 * like.
 */
bool hostile_serves(struct hostile *hostile);

/* In cmocka's words, for HOSTILE(). */
int hostile_tear_down(void **state);

/* The full volume where RINGHOST_SOAK is set to 1, else the usual one. */
unsigned int hostile_volume(unsigned int usual, unsigned int full);

/* A test that is followed by a check; needs <cmocka.h>. */
#define HOSTILE(test) cmocka_unit_test_teardown(test, hostile_tear_down)

#endif
