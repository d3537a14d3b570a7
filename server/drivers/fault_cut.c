/* SPDX-License-Identifier: MIT */
/*
 * fault_cut - power cuts, and what else is done without a worker
 *
 * From the moment at which the power fails nothing is answered and the cache
 * does not change. When the wrapped driver has ended what it had, what is to
 * be kept is written by whichever thread saw that, through a part of its own
 * of the wrapped driver, on an engine of its own; then the process ends.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "server/drivers/fault.h"

#define SECTOR_BYTES 512

/* The wrapped driver in the hands of one thread, one request at a time. */
struct alone {
	struct driver *driver;
	struct engine *engine;
	struct driver_context *context;
	struct engine_watch last; /* removed after all others */
	bool is_removed;
};

struct alone_request {
	struct blk_request blk;
	struct iovec iov;
	bool done;
	int result;
};

static void note_removed(struct engine_watch *watch)
{
	container_of(watch, struct alone, last)->is_removed = true;
}

static void note_done(struct blk_request *blk, int result)
{
	struct alone_request *request =
		container_of(blk, struct alone_request, blk);

	request->done = true;
	request->result = result;
}

static int begin_alone(struct alone *alone, struct driver *driver)
{
	int error = engine_create(ENGINE_THREADS, &alone->engine);

	if (error)
		return error;
	alone->driver = driver;
	alone->is_removed = false;
	alone->last.fd = rh_eventfd_create();
	alone->last.ready = NULL;
	alone->last.removed = note_removed;
	error = alone->last.fd < 0 ? -EMFILE :
				     engine_watch(alone->engine, &alone->last);
	if (!error)
		error = driver->ops->attach(driver, alone->engine,
					    &alone->context);
	if (error) {
		engine_destroy(alone->engine);
		rh_fd_close(&alone->last.fd);
	}
	return error;
}

static void end_alone(struct alone *alone)
{
	alone->driver->ops->detach(alone->context);
	engine_unwatch(alone->engine, &alone->last);
	while (!alone->is_removed && !engine_turn(alone->engine, true))
		;
	engine_destroy(alone->engine);
	rh_fd_close(&alone->last.fd);
}

static int do_alone(struct alone *alone, struct alone_request *request)
{
	enum driver_answer answer;
	int error = 0;

	request->done = false;
	request->blk.complete = note_done;
	request->blk.iov = &request->iov;
	request->blk.nr_iov = request->blk.op == BLK_WRITE;
	while (!error && (answer = alone->driver->ops->submit(alone->context,
							      &request->blk)) ==
				 DRIVER_BUSY)
		error = engine_turn(alone->engine, false);
	if (error || answer == DRIVER_COMPLETED)
		return error ? error : request->blk.result;
	while (!error && !request->done)
		error = engine_turn(alone->engine, true);
	return error ? error : request->result;
}

/* A part of an entry; its place and size are multiples of sectors. */
static int write_part(struct alone *alone, const struct fault_cache *cache,
		      const struct fault_entry *entry, uint64_t skip_bytes,
		      uint64_t bytes)
{
	struct alone_request request = {
		.blk.op = entry->op,
		.blk.flags = entry->flags,
		.blk.offset_bytes = entry->offset_bytes + skip_bytes,
		.blk.bytes = bytes,
	};

	if (!bytes)
		return 0;
	if (entry->op == BLK_WRITE)
		request.iov = (struct iovec){
			fault_cache_data(cache, entry) + skip_bytes, bytes
		};
	return do_alone(alone, &request);
}

/* Each sector of a write is there or not; of a range, its first part is. */
static int write_torn(struct alone *alone, const struct fault_cache *cache,
		      const struct fault_entry *entry, uint64_t draw)
{
	uint64_t nr_sectors = entry->bytes / SECTOR_BYTES;
	uint64_t start = 0;
	int error = 0;

	if (entry->op != BLK_WRITE)
		return write_part(alone, cache, entry, 0,
				  draw % (nr_sectors + 1) * SECTOR_BYTES);
	for (uint64_t i = 0; !error && i <= nr_sectors; i++) {
		if (i < nr_sectors && fault_random(draw, i, 0) & 1)
			continue;
		error = write_part(alone, cache, entry, start * SECTOR_BYTES,
				   (i - start) * SECTOR_BYTES);
		start = i + 1;
	}
	return error;
}

enum fate {
	FATE_LOST,
	FATE_WHOLE,
	FATE_TORN,
	NR_FATES,
};

/* index: among those that were not written back */
static enum fate fate_of(const struct fault *fault, uint64_t index,
			 uint64_t draw)
{
	switch (fault->keep) {
	case FAULT_KEEP_NONE:
		break;
	case FAULT_KEEP_ALL:
		return FATE_WHOLE;
	case FAULT_KEEP_FIRST:
		return index < fault->keep_count ? FATE_WHOLE : FATE_LOST;
	case FAULT_KEEP_RANDOM:
		return (enum fate)(draw % NR_FATES);
	}
	return FATE_LOST;
}

static int keep_some(const struct fault *fault, uint64_t nr_fates[NR_FATES])
{
	const struct fault_cache *cache = &fault->cache;
	struct alone alone;
	int error = 0;

	if (cache->clean == cache->next)
		return 0;
	error = begin_alone(&alone, fault->inner);
	for (uint64_t i = cache->clean; !error && i < cache->next; i++) {
		const struct fault_entry *entry = fault_cache_entry(cache, i);
		uint64_t draw = fault_random(fault->seed, i, 4);
		enum fate fate = fate_of(fault, i - cache->clean, draw);

		nr_fates[fate]++;
		if (fate == FATE_WHOLE)
			error = write_part(&alone, cache, entry, 0,
					   entry->bytes);
		else if (fate == FATE_TORN)
			error = write_torn(&alone, cache, entry, draw);
	}
	return error;
}

static void __attribute__((noreturn)) end_process(const struct fault *fault)
{
	uint64_t nr_fates[NR_FATES] = { 0 };
	int error = keep_some(fault, nr_fates);

	if (error) {
		rh_log(RH_LOG_ERROR, fault->name,
		       "what the power cut was to keep cannot be written: %s",
		       strerror(-error));
		_exit(EXIT_FAILURE);
	}
	rh_log(RH_LOG_WARNING, fault->name,
	       "the power fails: of the writes in the cache %llu are kept, "
	       "%llu torn, %llu lost",
	       (unsigned long long)nr_fates[FATE_WHOLE],
	       (unsigned long long)nr_fates[FATE_TORN],
	       (unsigned long long)nr_fates[FATE_LOST]);
	_exit(FAULT_EXIT_POWER_CUT);
}

/* Others may wait for the lock, and are to go on turning their engines. */
void fault_cut_if_idle(struct fault *fault)
{
	if (!fault->cutting || fault->nr_inner)
		return;
	pthread_mutex_unlock(&fault->lock);
	end_process(fault);
}

void fault_cut(struct fault *fault, const struct fault_rule *rule)
{
	fault->cutting = true;
	fault->keep = rule->keep;
	fault->keep_count = rule->count;
	fault_cut_if_idle(fault);
}

void fault_user_signal(struct driver *driver)
{
	const struct fault_event event = { .op = FAULT_SIGNAL };
	struct fault *fault = fault_of(driver);
	struct fault_verdict verdict;

	pthread_mutex_lock(&fault->lock);
	if (!fault->cutting) {
		fault_judge(fault, &event, &verdict);
		if (verdict.cut)
			fault_cut(fault, verdict.cut);
	}
	pthread_mutex_unlock(&fault->lock);
}

/* No worker is there, so nobody else has the lock. */
void fault_write_back(struct fault *fault)
{
	struct fault_cache *cache = &fault->cache;
	struct alone alone;
	int error;

	if (!cache->data || cache->clean == cache->next)
		return;
	assert(list_empty(&fault->syncs) && list_empty(&fault->reads));
	error = begin_alone(&alone, fault->inner);
	if (error) {
		fault_sync_poison(fault, error);
		return;
	}
	while (cache->clean < cache->next) {
		const struct fault_entry *entry =
			fault_cache_entry(cache, cache->clean);

		error = write_part(&alone, cache, entry, 0, entry->bytes);
		if (error)
			fault_sync_poison(fault, error);
		fault_cache_cleaned(cache);
	}
	fault_cache_drop(cache, cache->clean);
	end_alone(&alone);
}
