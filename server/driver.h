/* SPDX-License-Identifier: MIT */
/*
 * driver - what one kind of storage must be able to do
 *
 * drivers/null.c is the one to read first. A driver knows bytes and files; it
 * never sees virtio. struct driver is one opened image, made and freed in the
 * control thread; struct driver_context is what one worker thread has of it,
 * and belongs to that thread between attach and detach.
 */
#ifndef SERVER_DRIVER_H
#define SERVER_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/engine.h"
#include "server/request.h"

enum driver_cache {
	DRIVER_CACHE_NONE,	   /* O_DIRECT */
	DRIVER_CACHE_WRITEBACK,	   /* the host's page cache */
	DRIVER_CACHE_WRITETHROUGH, /* page cache, each write durable */
};

#define DRIVER_MAX_FAULTS 32

struct driver_ops;

struct driver_options {
	const char *image; /* path; NULL for drivers without one */
	const char *name;  /* tag of log lines */
	enum driver_cache cache;
	bool cache_given; /* by the user: no silent fallback */
	bool read_only;
	bool raw_given;	     /* --format=raw: do not look for other formats */
	bool force_share;    /* no image lock */
	bool succeeds;	     /* who holds it will let it go: no word of it */
	uint64_t size_bytes; /* drivers that have no size of their own */
	/*
	 * Workers that may attach, each once at a time: what they need is made
	 * ahead, since a confined process opens nothing. 0: not known.
	 */
	unsigned int nr_workers;
	/* drivers/fault.c */
	const struct driver_ops *wrapped;
	const char *faults[DRIVER_MAX_FAULTS]; /* rules */
	unsigned int nr_faults;
	uint64_t fault_seed;
	uint64_t fault_cache_bytes; /* 0: no cache */
};

/* What the storage is; set by open. The size follows by way of a node. */
struct driver_info {
	uint64_t size_bytes;
	uint32_t logical_block_bytes;  /* requests may have parts of it */
	uint32_t physical_block_bytes; /* at least the logical one */
	uint32_t optimal_io_bytes;     /* 0: unknown */
	bool read_only;
	enum driver_cache cache; /* what is in force */
	bool can_discard;
	bool can_write_zeroes;
	uint32_t discard_align_bytes;
	uint64_t max_discard_bytes; /* of one request; 0: no limit */
	uint64_t max_write_zeroes_bytes;
};

struct driver {
	const struct driver_ops *ops;
	struct driver_info info;
};

struct driver_context {
	struct driver *driver;
	struct engine *engine;
};

enum driver_answer {
	DRIVER_COMPLETED, /* request->result is set, complete() is not called */
	DRIVER_QUEUED,	  /* complete() will be called in a later turn */
	DRIVER_BUSY,	  /* nothing was done: submit again in a later turn */
};

struct driver_ops {
	const char *name;

	/*
	 * Open the image. A failure is logged by the driver, as a sentence
	 * that says what to do. Returns 0 with *ret set, or -errno.
	 */
	int (*open)(const struct driver_options *options, struct driver **ret);
	void (*close)(struct driver *driver);

	/* In the worker's thread. Returns 0 with *ret set, or -errno. */
	int (*attach)(struct driver *driver, struct engine *engine,
		      struct driver_context **ret);
	/*
	 * Nothing is under way. What the context watches is unwatched, and
	 * removed in a later turn: the engine is not destroyed before.
	 */
	void (*detach)(struct driver_context *context);

	/* Never blocks, never allocates. */
	enum driver_answer (*submit)(struct driver_context *context,
				     struct blk_request *request);

	/*
	 * on: a queue of the context is to stop, and waits for its requests;
	 * they must not take for ever any more. off: one has stopped. In the
	 * worker's thread. NULL: all requests end by themselves.
	 */
	void (*drain)(struct driver_context *context, bool on);

	/* SIGUSR2 has come; control thread. NULL: it is not caught. */
	void (*user_signal)(struct driver *driver);

	/*
	 * Take and give back the exclusive right to write the image, in the
	 * control thread: before the first queue starts, after the last one
	 * stopped. Returns 0, or -EAGAIN when another process holds it.
	 * NULL: nothing to take.
	 */
	int (*claim)(struct driver *driver);
	void (*release)(struct driver *driver);

	/*
	 * Learn the size again, for the owner to put into info. This and the
	 * next one take as long as the storage likes: any thread, one of them
	 * at a time. Returns 0 or -errno (logged). NULL: it never changes.
	 */
	int (*refresh)(struct driver *driver, uint64_t *ret);

	/*
	 * Make the image this long: whole sectors, and not 0. It is writable;
	 * nothing beyond that is under way, or submitted, any more. Returns 0
	 * or -errno, logged as a sentence that says what to do. NULL: it
	 * cannot be changed.
	 */
	int (*resize)(struct driver *driver, uint64_t size_bytes);

	/*
	 * What was acknowledged becomes durable; as long as it likes, in any
	 * threads. Returns 0 or -errno. NULL: nothing to do.
	 */
	int (*flush)(struct driver *driver);

	/*
	 * The error of the first sync that has failed, since which no flush
	 * succeeds; 0: none has. And the same as it was in another process
	 * whose place this one takes, before a queue starts. Both NULL: there
	 * is no such error.
	 */
	int (*sync_error)(const struct driver *driver);
	void (*note_sync_error)(struct driver *driver, int error);
};

/* By name; NULL if there is none. */
const struct driver_ops *driver_find(const char *name);

#endif
