/* SPDX-License-Identifier: MIT */
/*
 * engine-fixture - each test of an engine runs on all of them
 *
 * Also on an io_uring of one entry, where everything is full all the time:
 * D-14.
 */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/fd.h"
#include "server/engine.h"
#include "server/uring.h"

enum fixture_kind {
	FIXTURE_URING,
	FIXTURE_TINY_URING,
	FIXTURE_THREADS,
};

static enum fixture_kind fixture_kinds[] = {
	FIXTURE_URING,
	FIXTURE_TINY_URING,
	FIXTURE_THREADS,
};

#define ON_ENGINE(test, engine, kind)                                          \
	{                                                                      \
#test " on " engine, test, fixture_set_up, fixture_tear_down,  \
			&fixture_kinds[kind]                                   \
	}

#define ON_ALL_ENGINES(test)                                                   \
	ON_ENGINE(test, "io_uring", FIXTURE_URING),                            \
		ON_ENGINE(test, "a tiny io_uring", FIXTURE_TINY_URING),        \
		ON_ENGINE(test, "threads", FIXTURE_THREADS)

struct fixture {
	struct engine *engine; /* NULL: not allowed here */
	int file;	       /* empty */
};

static int fixture_set_up(void **state)
{
	enum fixture_kind kind = *(enum fixture_kind *)*state;
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int result;

	if (kind == FIXTURE_TINY_URING)
		result = uring_create(1, &fixture->engine);
	else
		result = engine_create(kind == FIXTURE_URING ? ENGINE_URING :
							       ENGINE_THREADS,
				       &fixture->engine);
	if (result < 0 && kind == FIXTURE_THREADS)
		return result;
	fixture->file = rh_memfd_create("test", 0);
	*state = fixture;
	return fixture->file < 0 ? fixture->file : 0;
}

static int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;

	engine_destroy(fixture->engine);
	rh_fd_close(&fixture->file);
	free(fixture);
	return 0;
}

/* Where the engine is not allowed the test counts as skipped. */
static inline struct fixture *fixture_of(void **state)
{
	struct fixture *fixture = *state;

	if (!fixture->engine)
		skip();
	return fixture;
}

static inline void turn(struct fixture *fixture, bool wait)
{
	assert_int_equal(engine_turn(fixture->engine, wait), 0);
}

/* Turns that do not wait: what could happen by itself has happened. */
static inline void turn_idly(struct fixture *fixture)
{
	for (int i = 0; i < 20; i++)
		turn(fixture, false);
}

#endif
