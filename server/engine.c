/* SPDX-License-Identifier: MIT */
/*
 * engine - asynchronous I/O and readiness for one worker thread
 *
 * Each engine embeds a struct engine, whose operations the verbs here call.
 * What all of them must keep to is checked here once.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/peerfd.h"
#include "server/engine.h"
#include "server/threadpool.h"
#include "server/uring.h"

int engine_create(enum engine_kind kind, struct engine **ret)
{
	switch (kind) {
	case ENGINE_URING:
		return uring_create(URING_ENTRIES, ret);
	case ENGINE_THREADS:
		return threadpool_engine_create(ret);
	}
	return -EINVAL;
}

void engine_destroy(struct engine *engine)
{
	if (engine)
		engine->ops->destroy(engine);
}

const char *engine_name(const struct engine *engine)
{
	return engine->ops->name;
}

int engine_submit(struct engine *engine, struct io_op *op)
{
	return engine->ops->submit(engine, op);
}

int engine_watch(struct engine *engine, struct engine_watch *watch)
{
	watch->removing = false;
	watch->dead = false;
	watch->armed = false;
	watch->cancelling = false;
	watch->nr_ended = 0;
	list_init(&watch->link);
	return engine->ops->watch(engine, watch);
}

void engine_unwatch(struct engine *engine, struct engine_watch *watch)
{
	assert(!watch->removing);
	watch->removing = true;
	engine->ops->unwatch(engine, watch);
}

void engine_signal(struct engine *engine, int fd)
{
	engine->ops->signal(engine, fd);
}

int engine_turn(struct engine *engine, bool wait)
{
	return engine->ops->turn(engine, wait ? ENGINE_FOREVER : 0);
}

int engine_turn_for(struct engine *engine, uint64_t wait_nsec)
{
	return engine->ops->turn(engine, wait_nsec);
}

void engine_signal_now(int fd)
{
	rh_peerfd_signal(fd);
}
