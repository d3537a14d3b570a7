/* SPDX-License-Identifier: MIT */
/*
 * fault_engine - what goes wrong below the wrapped driver
 *
 * The wrapped driver starts its operations on an engine that hands them on to
 * the real one, but for those that are to fail, or to move less than they
 * should: the driver then sees what a host's storage would have done to it.
 * What a rule answers is answered in a later turn, as by any engine.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "server/drivers/fault_context.h"

#define SECTOR_BYTES 512

static struct fault_engine *to_fault(struct engine *engine)
{
	return container_of(engine, struct fault_engine, engine);
}

static enum fault_op op_of(const struct io_op *op)
{
	switch (op->kind) {
	case IO_READ:
		return FAULT_HOST_READ;
	case IO_WRITE:
		return FAULT_HOST_WRITE;
	case IO_DATASYNC:
		return FAULT_HOST_SYNC;
	case IO_FALLOCATE:
	case IO_CALL:
		break;
	}
	return FAULT_HOST_ZERO;
}

static bool moves(const struct io_op *op)
{
	return op->kind == IO_READ || op->kind == IO_WRITE;
}

static uint64_t bytes_of(const struct io_op *op)
{
	uint64_t bytes = 0;

	if (op->kind == IO_DATASYNC)
		return 0;
	if (!moves(op))
		return op->bytes;
	for (unsigned int i = 0; i < op->nr_iov; i++)
		bytes += op->iov[i].iov_len;
	return bytes;
}

static void answer_later(struct fault_engine *engine, struct io_op *op,
			 int result)
{
	op->result = result;
	list_append(&engine->answered, &op->link);
	fault_wake(engine->context);
}

void fault_engine_answer(struct fault_engine *engine)
{
	struct list_node answered;
	struct list_node *node;

	list_init(&answered);
	while ((node = list_take_first(&engine->answered)))
		list_append(&answered, node);
	while ((node = list_take_first(&answered))) {
		struct io_op *op = container_of(node, struct io_op, link);

		op->done(op, op->result);
	}
}

static void short_done(struct io_op *io, int result)
{
	struct fault_short *shorter = container_of(io, struct fault_short, io);
	struct io_op *original = shorter->original;

	list_append(&shorter->engine->free_short, &shorter->link);
	original->done(original, result);
}

/* Half of it, in sectors, but at least one; or as the rule says. */
static uint64_t short_bytes(const struct fault_verdict *verdict, uint64_t bytes)
{
	if (verdict->short_has_bytes)
		return MIN(verdict->short_bytes, bytes);
	return MIN(MAX(align_down(bytes / 2, SECTOR_BYTES),
		       (uint64_t)SECTOR_BYTES),
		   bytes);
}

static int submit_short(struct fault_engine *engine, struct io_op *op,
			uint64_t bytes)
{
	struct list_node *node;
	struct fault_short *shorter;
	unsigned int nr = 0;
	int error;

	if (!bytes) {
		answer_later(engine, op, 0);
		return 0;
	}
	node = list_take_first(&engine->free_short);
	if (!node)
		return -EAGAIN;
	shorter = container_of(node, struct fault_short, link);
	shorter->original = op;
	shorter->io = *op;
	shorter->io.iov = shorter->iov;
	shorter->io.pace = NULL;
	shorter->io.done = short_done;
	for (; bytes && nr < MIN(op->nr_iov, (unsigned int)FAULT_SHORT_IOV);
	     nr++) {
		shorter->iov[nr] = op->iov[nr];
		shorter->iov[nr].iov_len = MIN(op->iov[nr].iov_len, bytes);
		bytes -= shorter->iov[nr].iov_len;
	}
	shorter->io.nr_iov = nr;
	error = engine_submit(engine->real, &shorter->io);
	if (error)
		list_append(&engine->free_short, &shorter->link);
	return error;
}

static int submit_op(struct engine *engine, struct io_op *op)
{
	struct fault_engine *mine = to_fault(engine);
	const struct fault_event event = {
		.op = op_of(op),
		.offset_bytes = op->offset_bytes,
		.bytes = bytes_of(op),
	};
	struct fault_verdict verdict;

	pthread_mutex_lock(&mine->fault->lock);
	fault_judge(mine->fault, &event, &verdict);
	pthread_mutex_unlock(&mine->fault->lock);
	if (verdict.error) {
		answer_later(mine, op, verdict.error);
		return 0;
	}
	if (verdict.shorten)
		return submit_short(mine, op,
				    short_bytes(&verdict, event.bytes));
	return engine_submit(mine->real, op);
}

/* The verbs of server/engine.h have prepared the watch already. */
static int add_watch(struct engine *engine, struct engine_watch *watch)
{
	struct engine *real = to_fault(engine)->real;

	return real->ops->watch(real, watch);
}

static void remove_watch(struct engine *engine, struct engine_watch *watch)
{
	struct engine *real = to_fault(engine)->real;

	real->ops->unwatch(real, watch);
}

static void signal_fd(struct engine *engine, int fd)
{
	engine_signal(to_fault(engine)->real, fd);
}

static int take_turn(struct engine *engine, uint64_t wait_nsec)
{
	return engine_turn_for(to_fault(engine)->real, wait_nsec);
}

static void destroy(struct engine *engine)
{
	(void)engine;
	assert(!"it lies in a context");
}

static const struct engine_ops fault_engine_ops = {
	.name = "fault",
	.destroy = destroy,
	.submit = submit_op,
	.watch = add_watch,
	.unwatch = remove_watch,
	.signal = signal_fd,
	.turn = take_turn,
};

int fault_engine_init(struct fault_engine *engine, struct fault *fault,
		      struct fault_context *context)
{
	engine->engine.ops = &fault_engine_ops;
	engine->real = context->base.engine;
	engine->fault = fault;
	engine->context = context;
	list_init(&engine->answered);
	list_init(&engine->free_short);
	engine->shorts = calloc(FAULT_NR_SHORT, sizeof(*engine->shorts));
	if (!engine->shorts)
		return -ENOMEM;
	for (size_t i = 0; i < FAULT_NR_SHORT; i++) {
		engine->shorts[i].engine = engine;
		list_append(&engine->free_short, &engine->shorts[i].link);
	}
	return 0;
}

void fault_engine_deinit(struct fault_engine *engine)
{
	free(engine->shorts);
}
