/* SPDX-License-Identifier: MIT */
/*
 * fault_context - what a worker has of a disk that fails as it is told
 *
 * What those files fault*.c share that handle requests; see fault.h. All of
 * it belongs to the worker, but the places of requests in the lists of struct
 * fault, which its lock guards, together with what stands there for others.
 */
#ifndef SERVER_DRIVERS_FAULT_CONTEXT_H
#define SERVER_DRIVERS_FAULT_CONTEXT_H

#include "server/drivers/fault.h"

#define FAULT_NR_REQUESTS 1024 /* under way, of one worker */
#define FAULT_MAX_IOV	  1088 /* more than a chain can have */
#define FAULT_NR_SHORT	  64   /* operations that are cut short at a time */
#define FAULT_SHORT_IOV	  64

enum fault_wait {
	FAULT_WAIT_DELAY,
	FAULT_WAIT_HOLD,
	FAULT_WAIT_HANG,
};

/* What is left to do for a request once the wrapped driver has answered. */
enum fault_step {
	FAULT_STEP_PASS,  /* it was the request itself */
	FAULT_STEP_ROOM,  /* room in the cache is wanted */
	FAULT_STEP_EMPTY, /* nothing may be in the cache, then pass */
	FAULT_STEP_SYNC,  /* all below target is to be written back */
	FAULT_STEP_FLUSH, /* and the wrapped driver's flush has been sent */
};

/* One of the queue's requests, from submit to completion. */
struct fault_request {
	struct blk_request inner;  /* what the wrapped driver gets */
	struct blk_request *outer; /* not owned */
	struct fault_context *context;
	struct fault_verdict verdict;
	struct list_node link; /* free, waiting, retries, or syncs */

	/* While it waits */
	enum fault_wait wait;
	uint64_t deadline_nsec; /* UINT64_MAX: none */
	uint64_t hold_until;	/* of context->nr_completed */

	enum fault_step step;
	bool at_inner;	 /* the wrapped driver works for this step */
	uint64_t target; /* SYNC: number of an entry */

	/* READ */
	struct list_node read_link;
	bool reads_cache;
	uint64_t read_from; /* number of the first entry that may matter */
	unsigned int nr_iov;
	struct iovec *iov; /* FAULT_MAX_IOV, as of the guest's request */

	struct iovec own_iov;
};

struct fault_short {
	struct io_op io;
	struct io_op *original;
	struct fault_engine *engine;
	struct list_node link;
	struct iovec iov[FAULT_SHORT_IOV];
};

/* What the wrapped driver takes for its engine. */
struct fault_engine {
	struct engine engine;
	struct engine *real; /* not owned, like the next two */
	struct fault *fault;
	struct fault_context *context;
	struct list_node answered;   /* io_op: done, by result */
	struct list_node free_short; /* struct fault_short */
	struct fault_short *shorts;  /* FAULT_NR_SHORT */
};

struct fault_context {
	struct driver_context base;
	struct driver_context *inner;
	struct fault_engine engine;
	struct engine_watch wake;
	struct engine_watch timer;
	unsigned int nr_watches;
	uint64_t nr_completed;
	unsigned int nr_draining; /* queues that stop */
	struct list_node free;
	struct list_node waiting;
	struct list_node retries; /* the wrapped driver was busy */
	struct fault_request *requests;
	struct iovec *iovecs;
};

static inline struct fault_context *
fault_context_of(struct driver_context *context)
{
	return container_of(context, struct fault_context, base);
}

static inline struct fault *fault_of_request(struct fault_request *request)
{
	return fault_of(request->context->base.driver);
}

/* fault_context.c */
int fault_attach(struct driver *driver, struct engine *engine,
		 struct driver_context **ret);
void fault_detach(struct driver_context *context);
void fault_drain(struct driver_context *context, bool on);
/* Look at the lists in a later turn; any thread. */
void fault_wake(struct fault_context *context);
/* True: the request waits, and fault_go_on() will be called. */
bool fault_must_wait(struct fault_request *request);

/* fault_submit.c */
enum driver_answer fault_submit(struct driver_context *context,
				struct blk_request *outer);
/* A wait that the verdict asked for is over. */
void fault_go_on(struct fault_request *request);
/* The wrapped driver was busy; it is asked again. */
void fault_retry(struct fault_request *request);
/* Make request->inner like another request. */
void fault_prepare(struct fault_request *request, const struct blk_request *as);
/* Give request->inner to the wrapped driver. True: it is answered, by ret. */
bool fault_pass(struct fault_request *request, int *ret);
void fault_finish(struct fault_request *request, int result);

/*
 * fault_sync.c. With the lock held: what the request waits for is written in
 * its step; it is served in a later turn.
 */
void fault_sync_join(struct fault_request *request);
/* An entry that it wrote back, or its flush, is done. */
void fault_sync_answered(struct fault_request *request, int result);
/* Serve the first in line if it is the context's. */
void fault_sync_serve(struct fault_context *context);

/* fault_engine.c */
int fault_engine_init(struct fault_engine *engine, struct fault *fault,
		      struct fault_context *context);
void fault_engine_deinit(struct fault_engine *engine);
void fault_engine_answer(struct fault_engine *engine);

#endif
