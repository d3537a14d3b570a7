/* SPDX-License-Identifier: MIT */
/*
 * file - regular files and block devices
 *
 * What the files file*.c share; nobody else includes this. A request goes
 * through one state machine: file_step() starts its next operation, the
 * operation's end either starts the next step or finishes the request.
 *
 *	file.c		opening: which image, which cache, which lock
 *	file_geometry.c	sizes, alignment and limits as the kernel tells them
 *	file_context.c	a worker's part; requests that wait for something
 *	file_io.c	submit, and reads and writes straight from the guest
 *	file_bounce.c	reads and writes that O_DIRECT would refuse
 *	file_zero.c	discard and write zeroes
 *	file_flush.c	flushes, and what failed ones mean
 *
 * Threads: struct file is the control thread's, but for its atomic members;
 * a struct file_context belongs to its worker.
 */
#ifndef SERVER_DRIVERS_FILE_H
#define SERVER_DRIVERS_FILE_H

#include <stdatomic.h>

#include "server/driver.h"
#include "server/drivers/bounce.h"
#include "server/drivers/rmw.h"
#include "server/drivers/sync_fds.h"
#include "server/pace.h"

#define FILE_SECTOR_BYTES 512

struct file {
	struct driver driver;
	char *name;
	char *path;
	int fd;
	bool is_block_device;
	bool force_share;
	uint32_t device_block_bytes; /* block devices: smallest unit */
	/* What O_DIRECT demands; 1 without it. */
	uint32_t offset_align;
	uint32_t buffer_align;
	struct rmw_table *rmw; /* NULL: every sector can be written alone */
	bool in_memory;	       /* its file system is: tmpfs and the like */
	/* At the speed of memory, and not so for io_uring (prompt.h) */
	bool prompt_reads, prompt_writes;

	struct sync_fds sync_fds;

	/* Any thread */
	atomic_uint_fast64_t size_bytes; /* whole sectors */
	atomic_int sync_error;		 /* of the first sync that failed */
	/* Learned from the first refusal. */
	atomic_bool no_discard;
	atomic_bool no_punch;
	atomic_bool no_zero_range;
};

struct file_context {
	struct driver_context base;
	int sync_fd; /* of file->sync_fds */
	struct pace pace;
	struct bounce_pool bounces;
	struct list_node retries; /* by io.link: the engine was full */

	/* One sync at a time; it answers all that came before it started. */
	bool syncing;
	struct io_op sync_io;
	struct list_node sync_running;
	struct list_node sync_waiting;

	/* Signalled, from any thread, to look at the lists again. */
	struct engine_watch wake;
};

static inline struct file *file_of(struct driver *driver)
{
	return container_of(driver, struct file, driver);
}

static inline struct file_context *
file_context_of(const struct blk_request *request)
{
	return container_of(request->context, struct file_context, base);
}

static inline struct file *file_of_request(const struct blk_request *request)
{
	return file_of(request->context->driver);
}

/* How far the request is, and how far it goes, in the image. */
static inline uint64_t file_position(const struct blk_request *request)
{
	return request->offset_bytes + request->done_bytes;
}

static inline uint64_t file_end(const struct blk_request *request)
{
	return request->offset_bytes + request->bytes;
}

int file_attach(struct driver *driver, struct engine *engine,
		struct driver_context **ret);
void file_detach(struct driver_context *context);
enum driver_answer file_submit(struct driver_context *context,
			       struct blk_request *request);

/*
 * Start what the request needs next; something is left to do. Returns 0, or
 * -EAGAIN when the engine is full.
 */
int file_step(struct blk_request *request);

/* As file_step(), and tries again by itself. */
void file_go_on(struct blk_request *request);

/* Make the worker of context look at its lists; any thread. */
void file_wake(struct driver_context *context);

/* Give back what the request holds, without completing it. */
void file_let_go(struct blk_request *request);

/* The request has ended; a write error may mean more than itself. */
void file_finish(struct blk_request *request, int result);

/* An operation's result: the request must be started again. */
bool file_must_repeat(int result);
/* How to write for this request: flags for pwritev2(2). */
int file_write_flags(const struct blk_request *request);

/*
 * A read met the end of the file with bytes still to come into the request's
 * iovecs. Fills the last sector up if that is where it is; finishes.
 */
void file_meet_end(struct blk_request *request);

/* The iovecs without their first bytes. */
void file_skip_iov(struct blk_request *request, uint64_t bytes);

/* Through the buffer in driver_data; WRITE_ZEROES: the block at position. */
bool file_needs_bounce(const struct blk_request *request);
int file_bounce_step(struct blk_request *request);

/* True if nothing of it reaches the storage. */
bool file_zero_is_void(const struct blk_request *request);
int file_zero_step(struct blk_request *request);

#endif
