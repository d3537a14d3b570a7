/* SPDX-License-Identifier: MIT */
/*
 * threadpool - the engine on threads, and threads for what blocks
 *
 * The pool is two lists under one lock: what is to do and what is done. The
 * lists change hands whole, so that the lock is taken once for a batch of
 * completions. A thread is added when work waits and nobody is idle.
 *
 * The engine adds epoll, edge-triggered as the other engine's polls are, for
 * the watches and for the pool's own eventfd.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/nsec.h"
#include "server/threadpool.h"

#define MAX_EVENTS 64

struct threadpool {
	/* The owner's */
	unsigned int nr_threads;
	pthread_t threads[THREADPOOL_MAX_THREADS];

	/* Under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list_node todo;
	struct list_node done;
	unsigned int nr_todo;
	unsigned int nr_idle;
	bool quit;

	/* Fixed */
	int done_fd;
};

static int result_of(ssize_t value)
{
	return value < 0 ? -errno : (int)value;
}

static int run_once(struct io_op *op)
{
	off_t offset = (off_t)op->offset_bytes;

	switch (op->kind) {
	case IO_READ:
		return result_of(preadv2(op->fd, op->iov, (int)op->nr_iov,
					 offset, op->rw_flags));
	case IO_WRITE:
		return result_of(pwritev2(op->fd, op->iov, (int)op->nr_iov,
					  offset, op->rw_flags));
	case IO_DATASYNC:
		return result_of(fdatasync(op->fd));
	case IO_FALLOCATE:
		return result_of(fallocate(op->fd, op->fallocate_mode, offset,
					   (off_t)op->bytes));
	case IO_CALL:
		return op->call(op);
	}
	return -EINVAL;
}

static int run_op(struct io_op *op)
{
	int result;

	do {
		result = run_once(op);
	} while (result == -EINTR);
	return result;
}

/* With the lock held; NULL when the pool ends. */
static struct io_op *wait_for_work(struct threadpool *pool)
{
	pool->nr_idle++;
	while (list_empty(&pool->todo) && !pool->quit)
		pthread_cond_wait(&pool->wake, &pool->lock);
	pool->nr_idle--;
	if (list_empty(&pool->todo))
		return NULL;
	pool->nr_todo--;
	return container_of(list_take_first(&pool->todo), struct io_op, link);
}

static void *run_thread(void *opaque)
{
	struct threadpool *pool = opaque;
	struct io_op *op;
	bool was_empty;
	int result;

	pthread_setname_np(pthread_self(), "ringhost-io");
	pthread_mutex_lock(&pool->lock);
	while ((op = wait_for_work(pool))) {
		pthread_mutex_unlock(&pool->lock);
		result = run_op(op);
		pthread_mutex_lock(&pool->lock);
		op->result = result;
		was_empty = list_empty(&pool->done);
		list_append(&pool->done, &op->link);
		if (was_empty)
			rh_eventfd_signal(pool->done_fd);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are the control thread's, but for faults in guest memory. */
static int start_thread(struct threadpool *pool)
{
	sigset_t all;
	sigset_t before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&pool->threads[pool->nr_threads], NULL,
			       run_thread, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	pool->nr_threads++;
	return 0;
}

int threadpool_create(struct threadpool **ret)
{
	struct threadpool *pool = calloc(1, sizeof(*pool));
	int result;

	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	list_init(&pool->todo);
	list_init(&pool->done);
	pool->done_fd = rh_eventfd_create();
	if (pool->done_fd < 0) {
		result = pool->done_fd;
		threadpool_destroy(pool);
		return result;
	}
	*ret = pool;
	return 0;
}

void threadpool_destroy(struct threadpool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->nr_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	rh_fd_close(&pool->done_fd);
	free(pool);
}

int threadpool_submit(struct threadpool *pool, struct io_op *op)
{
	bool all_busy;
	int result = 0;

	pthread_mutex_lock(&pool->lock);
	list_append(&pool->todo, &op->link);
	pool->nr_todo++;
	all_busy = pool->nr_todo > pool->nr_idle;
	pthread_cond_signal(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	if (all_busy && pool->nr_threads < THREADPOOL_MAX_THREADS)
		result = start_thread(pool);
	/* If that fails, those that are there do the work, later. */
	if (result == 0 || pool->nr_threads)
		return 0;
	list_remove(&op->link);
	pool->nr_todo--;
	return result;
}

int threadpool_fd(const struct threadpool *pool)
{
	return pool->done_fd;
}

void threadpool_take_done(struct threadpool *pool, struct list_node *list)
{
	struct list_node *done = &pool->done;

	pthread_mutex_lock(&pool->lock);
	if (!list_empty(done)) {
		done->next->previous = list->previous;
		list->previous->next = done->next;
		done->previous->next = list;
		list->previous = done->previous;
		list_init(done);
	}
	pthread_mutex_unlock(&pool->lock);
}

struct thread_engine {
	struct engine engine;
	int epoll_fd;
	unsigned int nr_under_way;
	struct threadpool *pool;
	struct engine_watch pool_watch;
	struct list_node finished; /* struct io_op */
	struct list_node gone;	   /* struct engine_watch */
};

static struct thread_engine *to_threads(struct engine *engine)
{
	return container_of(engine, struct thread_engine, engine);
}

static int threads_submit(struct engine *engine, struct io_op *op)
{
	struct thread_engine *threads = to_threads(engine);
	int result;

	threads->nr_under_way++;
	result = threadpool_submit(threads->pool, op);
	if (unlikely(result < 0)) {
		op->result = result;
		list_append(&threads->finished, &op->link);
	}
	return 0;
}

static int threads_watch(struct engine *engine, struct engine_watch *watch)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
		.data.ptr = watch,
	};
	int epoll_fd = to_threads(engine)->epoll_fd;

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	watch->armed = true;
	return 0;
}

static void disarm(struct thread_engine *threads, struct engine_watch *watch)
{
	if (!watch->armed)
		return;
	epoll_ctl(threads->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->armed = false;
}

static void threads_unwatch(struct engine *engine, struct engine_watch *watch)
{
	struct thread_engine *threads = to_threads(engine);

	disarm(threads, watch);
	list_append(&threads->gone, &watch->link);
}

static void threads_signal(struct engine *engine, int fd)
{
	(void)engine;
	engine_signal_now(fd);
}

static void take_finished(struct engine_watch *watch)
{
	struct thread_engine *threads =
		container_of(watch, struct thread_engine, pool_watch);

	threadpool_take_done(threads->pool, &threads->finished);
}

/* A watch that was removed by a callback before its turn is passed over. */
static void call_ready(struct thread_engine *threads,
		       const struct epoll_event *event)
{
	struct engine_watch *watch = event->data.ptr;

	if (watch->removing)
		return;
	if (event->events & (EPOLLERR | EPOLLHUP)) {
		watch->dead = true;
		disarm(threads, watch);
	}
	watch->ready(watch);
}

static void call_finished(struct thread_engine *threads)
{
	struct list_node *node;
	struct io_op *op;

	while ((node = list_take_first(&threads->finished))) {
		op = container_of(node, struct io_op, link);
		threads->nr_under_way--;
		op->done(op, op->result);
	}
}

/* Those of earlier turns only. */
static void call_removed(struct list_node *gone)
{
	struct engine_watch *watch;
	struct list_node *node;

	while ((node = list_take_first(gone))) {
		watch = container_of(node, struct engine_watch, link);
		watch->removed(watch);
	}
}

/* No shorter than was asked for. */
static int msec_of(uint64_t nsec)
{
	if (nsec == ENGINE_FOREVER)
		return -1;
	return (int)MIN(nsec / NSEC_PER_MSEC + (nsec % NSEC_PER_MSEC != 0),
			(uint64_t)INT_MAX);
}

static int threads_turn(struct engine *engine, uint64_t wait_nsec)
{
	struct thread_engine *threads = to_threads(engine);
	struct epoll_event events[MAX_EVENTS];
	int nr;

	if (!list_empty(&threads->finished))
		wait_nsec = 0;
	if (!list_empty(&threads->gone)) {
		wait_nsec = 0;
		call_removed(&threads->gone);
	}
	nr = epoll_wait(threads->epoll_fd, events, MAX_EVENTS,
			msec_of(wait_nsec));
	if (nr < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < nr; i++)
		call_ready(threads, &events[i]);
	call_finished(threads);
	return 0;
}

static void threads_destroy(struct engine *engine)
{
	struct thread_engine *threads = to_threads(engine);

	assert(!threads->nr_under_way);
	threadpool_destroy(threads->pool);
	rh_fd_close(&threads->epoll_fd);
	free(threads);
}

static const struct engine_ops threads_ops = {
	.name = "threads",
	.destroy = threads_destroy,
	.submit = threads_submit,
	.watch = threads_watch,
	.unwatch = threads_unwatch,
	.signal = threads_signal,
	.turn = threads_turn,
};

static int set_up(struct thread_engine *threads)
{
	int result;

	threads->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (threads->epoll_fd < 0)
		return -errno;
	result = threadpool_create(&threads->pool);
	if (result < 0)
		return result;
	threads->pool_watch.fd = threadpool_fd(threads->pool);
	threads->pool_watch.ready = take_finished;
	return engine_watch(&threads->engine, &threads->pool_watch);
}

int threadpool_engine_create(struct engine **ret)
{
	struct thread_engine *threads = calloc(1, sizeof(*threads));
	int result;

	if (!threads)
		return -ENOMEM;
	threads->engine.ops = &threads_ops;
	list_init(&threads->finished);
	list_init(&threads->gone);
	result = set_up(threads);
	if (result < 0) {
		threads_destroy(&threads->engine);
		return result;
	}
	*ret = &threads->engine;
	return 0;
}
