/* SPDX-License-Identifier: MIT */
/*
 * fake_engine - the verbs of server/engine.h, done one after the other
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/unit/fake_engine.h"

#define MAX_WATCHES 16

struct fake_engine {
	struct engine engine;
	struct list_node started;
	struct list_node watches;
	unsigned int nr_under_way;
	unsigned int limit;
	fake_engine_fn intercept;
	void *opaque;
};

static struct fake_engine *to_fake(struct engine *engine)
{
	return container_of(engine, struct fake_engine, engine);
}

static void fake_destroy(struct engine *engine)
{
	struct fake_engine *fake = to_fake(engine);

	assert(list_empty(&fake->started));
	assert(list_empty(&fake->watches));
	free(fake);
}

void fake_engine_intercept(struct engine *engine, fake_engine_fn fn,
			   void *opaque)
{
	to_fake(engine)->intercept = fn;
	to_fake(engine)->opaque = opaque;
}

void fake_engine_limit(struct engine *engine, unsigned int nr_operations)
{
	to_fake(engine)->limit = nr_operations;
}

static int fake_submit(struct engine *engine, struct io_op *op)
{
	struct fake_engine *fake = to_fake(engine);

	if (fake->limit && fake->nr_under_way >= fake->limit)
		return -EAGAIN;
	fake->nr_under_way++;
	list_append(&fake->started, &op->link);
	return 0;
}

static int fake_watch(struct engine *engine, struct engine_watch *watch)
{
	watch->removing = false;
	list_append(&to_fake(engine)->watches, &watch->link);
	return 0;
}

static void fake_unwatch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	watch->removing = true;
}

static void fake_signal(struct engine *engine, int fd)
{
	uint64_t one = 1;

	(void)engine;
	if (write(fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

static int perform(struct io_op *op)
{
	ssize_t done = 0;

	switch (op->kind) {
	case IO_READ:
		done = preadv2(op->fd, op->iov, (int)op->nr_iov,
			       (off_t)op->offset_bytes, op->rw_flags);
		break;
	case IO_WRITE:
		done = pwritev2(op->fd, op->iov, (int)op->nr_iov,
				(off_t)op->offset_bytes, op->rw_flags);
		break;
	case IO_DATASYNC:
		done = fdatasync(op->fd);
		break;
	case IO_FALLOCATE:
		done = fallocate(op->fd, op->fallocate_mode,
				 (off_t)op->offset_bytes, (off_t)op->bytes);
		break;
	case IO_CALL:
		return op->call(op);
	}
	return done < 0 ? -errno : (int)done;
}

static bool run_started(struct fake_engine *engine)
{
	struct list_node now;
	struct list_node *node;
	bool any = false;

	list_init(&now);
	while ((node = list_take_first(&engine->started)))
		list_append(&now, node);
	while ((node = list_take_first(&now))) {
		struct io_op *op = container_of(node, struct io_op, link);
		int result = 0;

		any = true;
		if (!engine->intercept ||
		    !engine->intercept(engine->opaque, op, &result))
			result = perform(op);
		engine->nr_under_way--;
		op->done(op, result);
	}
	return any;
}

static void run_watches(struct fake_engine *engine, bool wait)
{
	struct pollfd fds[MAX_WATCHES];
	struct engine_watch *watches[MAX_WATCHES];
	nfds_t nr_fds = 0;

	list_for_each(node, &engine->watches) {
		struct engine_watch *watch =
			container_of(node, struct engine_watch, link);

		if (watch->removing) {
			list_remove(&watch->link);
			watch->removed(watch);
			wait = false;
			continue;
		}
		assert(nr_fds < MAX_WATCHES);
		watches[nr_fds] = watch;
		fds[nr_fds].fd = watch->fd;
		fds[nr_fds++].events = POLLIN;
	}
	poll(fds, nr_fds, wait ? -1 : 0);
	for (nfds_t i = 0; i < nr_fds; i++)
		if (fds[i].revents && !watches[i]->removing)
			watches[i]->ready(watches[i]);
}

static int fake_turn(struct engine *engine, uint64_t wait_nsec)
{
	struct fake_engine *fake = to_fake(engine);
	bool any = run_started(fake);

	run_watches(fake, wait_nsec && !any);
	return 0;
}

static const struct engine_ops fake_ops = {
	.name = "fake",
	.destroy = fake_destroy,
	.submit = fake_submit,
	.watch = fake_watch,
	.unwatch = fake_unwatch,
	.signal = fake_signal,
	.turn = fake_turn,
};

int fake_engine_create(struct engine **ret)
{
	struct fake_engine *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return -ENOMEM;
	fake->engine.ops = &fake_ops;
	list_init(&fake->started);
	list_init(&fake->watches);
	*ret = &fake->engine;
	return 0;
}
