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

struct engine {
	struct list_node started;
	struct list_node watches;
	unsigned int nr_under_way;
	unsigned int limit;
	fake_engine_fn intercept;
	void *opaque;
};

int engine_create(enum engine_kind kind, struct engine **ret)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	(void)kind;
	list_init(&engine->started);
	list_init(&engine->watches);
	*ret = engine;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	assert(list_empty(&engine->started));
	assert(list_empty(&engine->watches));
	free(engine);
}

const char *engine_name(const struct engine *engine)
{
	(void)engine;
	return "fake";
}

void fake_engine_intercept(struct engine *engine, fake_engine_fn fn,
			   void *opaque)
{
	engine->intercept = fn;
	engine->opaque = opaque;
}

void fake_engine_limit(struct engine *engine, unsigned int nr_operations)
{
	engine->limit = nr_operations;
}

int engine_submit(struct engine *engine, struct io_op *op)
{
	if (engine->limit && engine->nr_under_way >= engine->limit)
		return -EAGAIN;
	engine->nr_under_way++;
	list_append(&engine->started, &op->link);
	return 0;
}

int engine_watch(struct engine *engine, struct engine_watch *watch)
{
	watch->removing = false;
	list_append(&engine->watches, &watch->link);
	return 0;
}

void engine_unwatch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	watch->removing = true;
}

void engine_signal(struct engine *engine, int fd)
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

static bool run_started(struct engine *engine)
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

static void run_watches(struct engine *engine, bool wait)
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

int engine_turn(struct engine *engine, bool wait)
{
	bool any = run_started(engine);

	run_watches(engine, wait && !any);
	return 0;
}
