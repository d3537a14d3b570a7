/* SPDX-License-Identifier: MIT */
/*
 * engine - asynchronous I/O and readiness for one worker thread
 *
 * Two engines stand behind these verbs: uring (io_uring, one system call a
 * turn) and threadpool (a pool of threads and epoll, where io_uring is not
 * allowed). A driver starts struct io_op; the worker watches kick fds and
 * signals call fds; nothing completes except inside engine_turn().
 *
 * Owner: the worker's thread. engine_create() and engine_destroy() may run in
 * another one while that does not.
 */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/list.h"
#include "server/pace.h"

enum io_kind {
	IO_READ,
	IO_WRITE,
	IO_DATASYNC,
	IO_FALLOCATE,
	IO_CALL, /* call() in a thread of its own: what has no ring operation */
};

struct io_op {
	enum io_kind kind;
	int fd;
	int rw_flags;	    /* READ, WRITE: RWF_... of pwritev2(2) */
	int fallocate_mode; /* FALLOCATE */
	uint64_t offset_bytes;
	uint64_t bytes;		 /* FALLOCATE; READ and WRITE with a pace */
	const struct iovec *iov; /* stays valid until done */
	unsigned int nr_iov;
	int (*call)(struct io_op *op);
	/*
	 * READ and WRITE without rw_flags: expected to be done at the speed of
	 * memory, so the engine may do it in the worker's thread as long as
	 * this pace allows it. NULL: never. Not owned.
	 */
	struct pace *pace;

	/* result: bytes moved, 0, or -errno. May start further operations. */
	void (*done)(struct io_op *op, int result);

	/* The engine's, while the operation is under way. */
	struct list_node link;
	int result;
	unsigned int nr_retries;
};

/*
 * ready() is called in each turn before which something arrived at fd: a
 * write to an eventfd, data in a pipe; once at first if something was there
 * already. It is up to ready() whether to take out what arrived, since what
 * is left there does not call again. When the other end has gone, ready() is
 * called a last time.
 *
 * After engine_unwatch() ready() is called no more, and removed() is in some
 * later turn: only then may the fd be closed or the watch freed.
 */
struct engine_watch {
	int fd;
	void (*ready)(struct engine_watch *watch);
	void (*removed)(struct engine_watch *watch);

	/* The engine's */
	bool removing;
	bool dead;	       /* nothing more can arrive */
	bool armed;	       /* a poll is under way */
	bool cancelling;       /* and so is its cancellation */
	unsigned int nr_ended; /* polls in a row that ended by themselves */
	struct list_node link;
};

enum engine_kind {
	ENGINE_URING,
	ENGINE_THREADS,
};

struct engine;

/*
 * Returns 0 with *ret set, or -errno; for ENGINE_URING -EPERM, -ENOSYS and
 * -ENOMEM mean that this host does not allow io_uring.
 */
int engine_create(enum engine_kind kind, struct engine **ret);

/* Nothing may be under way. NULL is accepted. */
void engine_destroy(struct engine *engine);

/* "io_uring" or "threads" */
const char *engine_name(const struct engine *engine);

/*
 * Start an operation. Returns 0, or -EAGAIN when the engine is full: try
 * again in the next turn.
 */
int engine_submit(struct engine *engine, struct io_op *op);

/*
 * fd, ready and removed are set. Returns 0 or -errno: -EPERM for a file that
 * cannot be waited on.
 */
int engine_watch(struct engine *engine, struct engine_watch *watch);
void engine_unwatch(struct engine *engine, struct engine_watch *watch);

/*
 * Write 1 to an eventfd, at the latest in the next turn. A write that would
 * block is dropped. The fd must stay open until that turn has returned.
 */
void engine_signal(struct engine *engine, int fd);

/*
 * Submit all that was started, wait for something to happen if wait, and
 * call back for all that has. Returns 0 or -errno (the engine is lost).
 */
int engine_turn(struct engine *engine, bool wait);

#define ENGINE_FOREVER UINT64_MAX

/* The same, but wait so long at most, or a little longer; 0: not at all. */
int engine_turn_for(struct engine *engine, uint64_t wait_nsec);

/* What stands behind the verbs above: for uring and threadpool only. */
struct engine_ops {
	const char *name;
	void (*destroy)(struct engine *engine);
	int (*submit)(struct engine *engine, struct io_op *op);
	int (*watch)(struct engine *engine, struct engine_watch *watch);
	void (*unwatch)(struct engine *engine, struct engine_watch *watch);
	void (*signal)(struct engine *engine, int fd);
	int (*turn)(struct engine *engine, uint64_t wait_nsec);
};

struct engine {
	const struct engine_ops *ops;
};

/* engine_signal() by a system call of its own; does not block either. */
void engine_signal_now(int fd);

#endif
