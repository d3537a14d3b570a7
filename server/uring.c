/* SPDX-License-Identifier: MIT */
/*
 * uring - the engine on io_uring
 *
 * Every verb only writes submission entries; engine_turn() hands them to the
 * kernel in the same call that waits. What a completion belongs to is in its
 * user data: a pointer with a tag in the low bits, which alignment leaves
 * free.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/nsec.h"
#include "server/uring_internal.h"

#define CQ_FACTOR	 4  /* completion entries for each submission entry */
#define MAX_RETRIES	 16 /* of one operation that the kernel put off */
#define MAX_SINGLE_BYTES (1u << 30)

static const uint64_t one = 1;

/*
 * A ring with a single issuer belongs to the thread that enables it, which
 * need not be the one that created it. (io_uring_enable_rings() is declared
 * in liburing 2.3, but not in it.)
 */
static int enable(struct uring *uring)
{
	int result;

	if (likely(uring->enabled))
		return 0;
	result = io_uring_register((unsigned int)uring->ring.ring_fd,
				   IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (result < 0)
		return result;
	uring->enabled = true;
	return 0;
}

out_of_line struct io_uring_sqe *uring_make_room(struct uring *uring)
{
	struct io_uring_sqe *sqe = NULL;

	if (enable(uring) == 0 && io_uring_submit(&uring->ring) >= 0)
		sqe = io_uring_get_sqe(&uring->ring);
	uring->refused = !sqe;
	return sqe;
}

static inline void prepare_read_write(struct io_uring_sqe *sqe,
				      const struct io_op *op)
{
	bool write = op->kind == IO_WRITE;
	int code;

	if (op->nr_iov == 1 && op->iov->iov_len <= MAX_SINGLE_BYTES) {
		code = write ? IORING_OP_WRITE : IORING_OP_READ;
		io_uring_prep_rw(code, sqe, op->fd, op->iov->iov_base,
				 (unsigned int)op->iov->iov_len,
				 op->offset_bytes);
	} else {
		code = write ? IORING_OP_WRITEV : IORING_OP_READV;
		io_uring_prep_rw(code, sqe, op->fd, op->iov, op->nr_iov,
				 op->offset_bytes);
	}
	sqe->rw_flags = op->rw_flags;
}

static inline void prepare_op(struct io_uring_sqe *sqe, struct io_op *op)
{
	switch (op->kind) {
	case IO_READ:
	case IO_WRITE:
		prepare_read_write(sqe, op);
		break;
	case IO_DATASYNC:
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
		break;
	case IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, op->fd, op->fallocate_mode,
					(off_t)op->offset_bytes,
					(off_t)op->bytes);
		break;
	case IO_CALL:
		assert(!"the pool's");
	}
	io_uring_sqe_set_data64(sqe, uring_tagged(op, TAG_OP));
}

static void take_calls(struct engine_watch *watch)
{
	struct uring *uring = container_of(watch, struct uring, pool_watch);

	threadpool_take_done(uring->pool, &uring->finished);
}

static cold_code int start_pool(struct uring *uring)
{
	struct threadpool *pool;
	int result = threadpool_create(&pool);

	if (result < 0)
		return result;
	uring->pool_watch.fd = threadpool_fd(pool);
	uring->pool_watch.ready = take_calls;
	result = engine_watch(&uring->engine, &uring->pool_watch);
	if (result < 0)
		threadpool_destroy(pool);
	else
		uring->pool = pool;
	return result;
}

static void submit_call(struct uring *uring, struct io_op *op)
{
	int result = uring->pool ? 0 : start_pool(uring);

	uring->nr_under_way++;
	if (result == 0)
		result = threadpool_submit(uring->pool, op);
	if (result < 0) {
		op->result = result;
		list_append(&uring->finished, &op->link);
	}
}

static bool start_prompt(struct uring *uring)
{
	if (likely(uring->prompt))
		return true;
	if (!uring->prompt_refused)
		uring->prompt_refused = prompt_create(&uring->prompt) < 0;
	return uring->prompt;
}

/* The clock is only looked at while the pace is closed. */
static bool submit_prompt(struct uring *uring, struct io_op *op)
{
	if (unlikely(op->pace->closed) && !pace_allows(op->pace, nsec_now()))
		return false;
	return start_prompt(uring) && prompt_add(uring->prompt, op);
}

static int uring_submit(struct engine *engine, struct io_op *op)
{
	struct uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe;

	if (op->kind == IO_CALL) {
		submit_call(uring, op);
		return 0;
	}
	op->nr_retries = 0;
	if (op->pace && submit_prompt(uring, op)) {
		uring->nr_under_way++;
		return 0;
	}
	sqe = uring_get_entry(uring);
	if (unlikely(!sqe))
		return -EAGAIN;
	prepare_op(sqe, op);
	uring->nr_under_way++;
	return 0;
}

/*
 * Without waiting for room: RWF_NOWAIT makes the kernel drop the write to a
 * full eventfd, where it would else keep it until the peer reads.
 */
static void uring_signal(struct engine *engine, int fd)
{
	struct uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe = uring_get_entry(uring);

	if (unlikely(!sqe)) {
		engine_signal_now(fd);
		return;
	}
	io_uring_prep_write(sqe, fd, &one, sizeof(one), 0);
	sqe->rw_flags = RWF_NOWAIT;
	io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	io_uring_sqe_set_data64(sqe, (uint64_t)uring->turn << 35 |
					     (uint64_t)(unsigned int)fd << 3 |
					     TAG_SIGNAL);
}

/*
 * The counter is full, or the peer has cleared O_NONBLOCK, or its file is of
 * a kind that knows no RWF_NOWAIT. The fd is only sure to be open until the
 * turn after the one in which it was given; afterwards the number may be
 * another file's.
 */
static void signal_failed(struct uring *uring, uint64_t data, int error)
{
	unsigned int age = uring->turn - (unsigned int)(data >> 35);

	if ((error == -EAGAIN || error == -EOPNOTSUPP) &&
	    (age & URING_TURN_MASK) <= 1)
		engine_signal_now((int)(data >> 3 & 0xffffffff));
}

/* Submission entries for all that was put off. False: not for all. */
static bool prepare_turn(struct uring *uring)
{
	struct io_uring_sqe *sqe;

	if (!uring_watch_settle(uring))
		return false;
	list_for_each(node, &uring->retry) {
		sqe = uring_get_entry(uring);
		if (!sqe)
			return false;
		list_remove(node);
		prepare_op(sqe, container_of(node, struct io_op, link));
	}
	return true;
}

static int enter_for(struct uring *uring, uint64_t wait_nsec)
{
	struct __kernel_timespec time = {
		.tv_sec = (int64_t)(wait_nsec / NSEC_PER_SEC),
		.tv_nsec = (int64_t)(wait_nsec % NSEC_PER_SEC),
	};
	struct io_uring_cqe *cqe;

	return io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, &time,
						NULL);
}

/*
 * The one system call of a turn. What the kernel did not take is still in the
 * submission queue afterwards, whole, and goes along with the next turn.
 */
static int enter(struct uring *uring, uint64_t wait_nsec)
{
	struct io_uring *ring = &uring->ring;
	unsigned int flags = IO_URING_READ_ONCE(*ring->sq.kflags);
	int result = 0;

	if (unlikely(wait_nsec && wait_nsec != ENGINE_FOREVER))
		result = enter_for(uring, wait_nsec);
	else if (wait_nsec)
		result = io_uring_submit_and_wait(ring, 1);
	else if (io_uring_sq_ready(ring) ||
		 flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))
		result = io_uring_submit_and_get_events(ring);

	/*
	 * Interrupted, short of memory, completions must be reaped first, or
	 * the time is over.
	 */
	if (result == -EINTR || result == -EAGAIN || result == -ENOMEM ||
	    result == -EBUSY || result == -ETIME)
		return 0;
	return MIN(result, 0);
}

/* What the kernel did not take: in a later turn the fd may be another file's. */
static void signal_rest(struct uring *uring)
{
	struct io_uring_sq *sq = &uring->ring.sq;
	unsigned int nr_left = io_uring_sq_ready(&uring->ring);

	for (unsigned int i = sq->sqe_tail - nr_left; nr_left; i++, nr_left--) {
		struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];

		if ((sqe->user_data & TAG_MASK) != TAG_SIGNAL ||
		    sqe->opcode == IORING_OP_NOP)
			continue;
		engine_signal_now(sqe->fd);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
		io_uring_sqe_set_data64(sqe, TAG_SIGNAL);
	}
}

static void finish_op(struct uring *uring, struct io_op *op, int result)
{
	bool put_off =
		result == -EAGAIN || result == -EINTR || result == -ENOMEM;

	if (unlikely(put_off) && op->nr_retries < MAX_RETRIES &&
	    !(op->rw_flags & RWF_NOWAIT)) {
		op->nr_retries++;
		list_append(&uring->retry, &op->link);
		return;
	}
	uring->nr_under_way--;
	op->done(op, result);
}

static void handle_completion(struct uring *uring,
			      const struct io_uring_cqe *cqe)
{
	uint64_t data = cqe->user_data;
	void *pointer = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);

	switch ((enum uring_tag)(cqe->user_data & TAG_MASK)) {
	case TAG_OP:
		finish_op(uring, pointer, cqe->res);
		break;
	case TAG_POLL:
		uring_watch_polled(uring, pointer, cqe->res, cqe->flags);
		break;
	case TAG_CANCEL:
		uring_watch_cancelled(uring, pointer, cqe->res);
		break;
	case TAG_SIGNAL:
		signal_failed(uring, cqe->user_data, cqe->res);
		break;
	default:
		assert(!"a completion of ours");
	}
}

/* Those that are there now: callbacks may submit, and more may complete. */
static void reap(struct uring *uring)
{
	struct io_uring *ring = &uring->ring;
	unsigned int nr = io_uring_cq_ready(ring);
	struct io_uring_cqe *next;
	struct io_uring_cqe cqe;
	unsigned int head;

	if (!nr)
		return;
	if (nr == ring->cq.ring_entries || io_uring_cq_has_overflow(ring))
		uring->full_turn = uring->turn;
	io_uring_for_each_cqe(ring, head, next)
	{
		cqe = *next;
		io_uring_cq_advance(ring, 1);
		handle_completion(uring, &cqe);
		if (!--nr)
			break;
	}
}

static void call_finished(struct uring *uring)
{
	struct list_node *node;
	struct io_op *op;

	while ((node = list_take_first(&uring->finished))) {
		op = container_of(node, struct io_op, link);
		uring->nr_under_way--;
		op->done(op, op->result);
	}
}

/*
 * Behind the entries, among which may be a signal: the driver gets on with
 * what it is told of while this thread copies.
 */
static void run_prompt(struct uring *uring)
{
	if (uring->prompt)
		prompt_run(uring->prompt, &uring->finished, &uring->retry);
}

static bool may_wait(const struct uring *uring)
{
	return !uring->refused && list_empty(&uring->gone) &&
	       list_empty(&uring->finished) &&
	       !io_uring_cq_ready(&uring->ring) &&
	       (!uring->prompt || prompt_is_empty(uring->prompt));
}

static int uring_turn(struct engine *engine, uint64_t wait_nsec)
{
	struct uring *uring = uring_of(engine);
	int result = enable(uring);

	if (result < 0)
		return result;
	uring->turn = (uring->turn + 1) & URING_TURN_MASK;
	if (!prepare_turn(uring) || !may_wait(uring))
		wait_nsec = 0;
	uring->refused = false;
	result = enter(uring, wait_nsec);
	if (result < 0)
		return result;
	signal_rest(uring);
	run_prompt(uring);
	reap(uring);
	uring_watch_call_ready(uring);
	call_finished(uring);
	uring_watch_call_removed(uring);
	return 0;
}

static void uring_destroy(struct engine *engine)
{
	struct uring *uring = uring_of(engine);

	assert(!uring->nr_under_way);
	io_uring_queue_exit(&uring->ring);
	threadpool_destroy(uring->pool);
	prompt_destroy(uring->prompt);
	free(uring);
}

static const struct engine_ops uring_ops = {
	.name = "io_uring",
	.destroy = uring_destroy,
	.submit = uring_submit,
	.watch = uring_watch_add,
	.unwatch = uring_watch_remove,
	.signal = uring_signal,
	.turn = uring_turn,
};

/*
 * Whoever takes over a thread has the ring, too, whose operations no filter of
 * system calls sees: it carries out those of this file and uring_watch.c, and
 * nothing can be registered with it any more but that it is enabled.
 */
static int restrict_operations(struct uring *uring)
{
	static const uint8_t codes[] = {
		IORING_OP_NOP,	     IORING_OP_READV,	 IORING_OP_WRITEV,
		IORING_OP_READ,	     IORING_OP_WRITE,	 IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction allowed[ARRAY_SIZE(codes) + 2] = { 0 };
	size_t nr = 0;

	for (; nr < ARRAY_SIZE(codes); nr++) {
		allowed[nr].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[nr].sqe_op = codes[nr];
	}
	allowed[nr].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	allowed[nr++].sqe_flags = IOSQE_CQE_SKIP_SUCCESS;
	allowed[nr].opcode = IORING_RESTRICTION_REGISTER_OP;
	allowed[nr++].register_op = IORING_REGISTER_ENABLE_RINGS;
	return io_uring_register((unsigned int)uring->ring.ring_fd,
				 IORING_REGISTER_RESTRICTIONS, allowed,
				 (unsigned int)nr);
}

/* The best ring that this kernel makes: 6.1, 5.19, before. */
static int make_ring(struct uring *uring, unsigned int nr_entries)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			IORING_SETUP_SUBMIT_ALL,
		0,
	};
	struct io_uring_params params;
	int result = -EINVAL;

	for (size_t i = 0; result == -EINVAL && i < ARRAY_SIZE(flags); i++) {
		params = (struct io_uring_params){
			.flags = flags[i] | IORING_SETUP_R_DISABLED |
				 IORING_SETUP_CQSIZE,
			.cq_entries = nr_entries * CQ_FACTOR,
		};
		result = io_uring_queue_init_params(nr_entries, &uring->ring,
						    &params);
	}
	if (result < 0)
		return result;
	/* 5.17: no completion is lost, a successful one can be left out */
	if (params.features & IORING_FEAT_CQE_SKIP)
		return 0;
	io_uring_queue_exit(&uring->ring);
	return -ENOSYS;
}

static int set_up(struct uring *uring, unsigned int nr_entries)
{
	int result = make_ring(uring, nr_entries);

	if (result < 0)
		return result;
	result = restrict_operations(uring);
	if (result < 0)
		io_uring_queue_exit(&uring->ring);
	return result;
}

int uring_create(unsigned int nr_entries, struct engine **ret)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int result;

	if (!uring)
		return -ENOMEM;
	result = set_up(uring, nr_entries);
	if (result < 0) {
		free(uring);
		return result;
	}
	uring->engine.ops = &uring_ops;
	list_init(&uring->retry);
	list_init(&uring->finished);
	list_init(&uring->todo);
	list_init(&uring->ready);
	list_init(&uring->gone);
	*ret = &uring->engine;
	return 0;
}
