/* SPDX-License-Identifier: MIT */
/*
 * fake_engine - the verbs of server/engine.h, done one after the other
 *
 * Operations run inside engine_turn(), in the order in which they were
 * started, with ordinary system calls; a test may look at each before that,
 * and decide its result instead.
 */
#ifndef TESTS_UNIT_FAKE_ENGINE_H
#define TESTS_UNIT_FAKE_ENGINE_H

#include "server/engine.h"

int fake_engine_create(struct engine **ret);

/* True: *result is the result, and nothing is done. May edit the operation. */
typedef bool (*fake_engine_fn)(void *opaque, struct io_op *op, int *result);

void fake_engine_intercept(struct engine *engine, fake_engine_fn fn,
			   void *opaque);

/* Operations that may be under way at once; 0: any number. */
void fake_engine_limit(struct engine *engine, unsigned int nr_operations);

#endif
