/* SPDX-License-Identifier: MIT */
/*
 * turns - an engine that lets a guest run between two turns of a worker
 *
 * Whether io_uring stands behind it or nothing, watches are kept here: the
 * first one is of the worker's commands, and the second one of the queue's
 * kicks, which come from a guest that is no other thread.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "tests/count/turns.h"

#define MAX_WATCHES 2

/* One at a time, as are the workers */
static struct {
	struct turns *turns;
	struct engine *engine;
	struct engine_ops ops;
	const struct engine_ops *inner; /* NULL: there is none */
	struct engine_watch *watches[MAX_WATCHES];
} us;

int __real_engine_create(enum engine_kind kind, struct engine **ret);
int __wrap_engine_create(enum engine_kind kind, struct engine **ret);

__attribute__((noinline)) void count_mark(void)
{
	__asm__ volatile("");
}

static int watch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		if (us.watches[i])
			continue;
		us.watches[i] = watch;
		return 0;
	}
	return -ENOMEM;
}

/* removed() comes in the next turn. */
static void unwatch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	(void)watch;
}

static bool remove_watches(void)
{
	bool removed = false;

	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		struct engine_watch *watch = us.watches[i];

		if (!watch || !watch->removing)
			continue;
		us.watches[i] = NULL;
		watch->removed(watch);
		removed = true;
	}
	return removed;
}

/* A round, if it is time for one. True if the queue is to be looked at. */
static bool run_guest(struct turns *turns)
{
	if (turns->part == TURNS_NR_PARTS || !us.watches[1] ||
	    !guest_is_answered(turns->guest))
		return false;
	if (turns->round == turns->nr_rounds[turns->part]) {
		count_mark();
		turns->round = 0;
		if (++turns->part == TURNS_NR_PARTS) {
			sem_post(&turns->over);
			return false;
		}
	}
	turns->round++;
	assert(guest_ask(turns->guest));
	us.watches[1]->ready(us.watches[1]);
	return true;
}

/* Sleeps for one when there is nothing else to do. */
static void obey_command(bool wait)
{
	struct engine_watch *watch = us.watches[0];
	struct pollfd commands = { .events = POLLIN };

	if (!watch || watch->removing)
		return;
	commands.fd = watch->fd;
	if (poll(&commands, 1, wait ? -1 : 0) == 1)
		watch->ready(watch);
}

static int turn(struct engine *engine, uint64_t wait_nsec)
{
	bool awake = remove_watches() || run_guest(us.turns);
	bool idle = !us.watches[1] || us.turns->part == TURNS_NR_PARTS;

	if (idle)
		obey_command(wait_nsec && !awake);
	if (us.inner)
		return us.inner->turn(engine, awake || idle ? 0 : wait_nsec);
	return 0;
}

static void signal_nobody(struct engine *engine, int fd)
{
	(void)engine;
	(void)fd;
}

static void destroy(struct engine *engine)
{
	if (us.inner) {
		engine->ops = us.inner;
		us.inner->destroy(engine);
	} else {
		free(engine);
	}
}

void turns_use(struct turns *turns)
{
	us.turns = turns;
	us.watches[0] = NULL;
	us.watches[1] = NULL;
	sem_init(&turns->over, 0, 0);
}

int __wrap_engine_create(enum engine_kind kind, struct engine **ret)
{
	int result = 0;

	us.inner = NULL;
	us.ops = (struct engine_ops){ .name = "none", .signal = signal_nobody };
	if (us.turns->on_uring) {
		result = __real_engine_create(kind, &us.engine);
		if (result < 0)
			return result;
		us.inner = us.engine->ops;
		us.ops = *us.inner;
	} else {
		us.engine = calloc(1, sizeof(*us.engine));
	}
	us.ops.destroy = destroy;
	us.ops.watch = watch;
	us.ops.unwatch = unwatch;
	us.ops.turn = turn;
	us.engine->ops = &us.ops;
	*ret = us.engine;
	return result;
}
