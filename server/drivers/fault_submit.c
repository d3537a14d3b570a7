/* SPDX-License-Identifier: MIT */
/*
 * fault_submit - a request's way through rules, cache and wrapped driver
 *
 * The rules are asked once, when the request comes. Then it waits, if they
 * say so; fails, if they say so; or goes to the cache or to the wrapped
 * driver. When the power has failed nothing goes any further, and nothing is
 * answered.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/nsec.h"
#include "server/drivers/fault_context.h"

_Static_assert((int)FAULT_READ == (int)BLK_READ &&
		       (int)FAULT_WRITE == (int)BLK_WRITE &&
		       (int)FAULT_FLUSH == (int)BLK_FLUSH &&
		       (int)FAULT_DISCARD == (int)BLK_DISCARD &&
		       (int)FAULT_WRITE_ZEROES == (int)BLK_WRITE_ZEROES,
	       "a request's operation is a rule's");

static void add_wait(struct fault_verdict *verdict,
		     const struct fault_armed *armed)
{
	const struct fault_rule *rule = &armed->rule;

	if (rule->effect == FAULT_DELAY) {
		verdict->delay_nsec += fault_rule_delay(armed);
	} else if (rule->effect == FAULT_HOLD) {
		verdict->hold = MAX(verdict->hold, rule->count);
		verdict->hold_nsec = MAX(verdict->hold_nsec, rule->max_nsec);
	} else if (rule->effect == FAULT_HANG) {
		verdict->hang = true;
		verdict->hang_nsec = rule->max_nsec;
	}
}

static void add_effect(struct fault_verdict *verdict,
		       const struct fault_armed *armed)
{
	const struct fault_rule *rule = &armed->rule;

	switch (rule->effect) {
	case FAULT_NOTHING:
		break;
	case FAULT_DELAY:
	case FAULT_HOLD:
	case FAULT_HANG:
		add_wait(verdict, armed);
		break;
	case FAULT_ERROR:
		verdict->error = verdict->error ?: rule->error;
		break;
	case FAULT_FLIP:
		verdict->flip = true;
		verdict->flip_draw =
			fault_random(armed->seed, armed->nr_seen, 3);
		break;
	case FAULT_SHORT:
		verdict->shorten = true;
		verdict->short_has_bytes = rule->has_bytes;
		verdict->short_bytes = rule->bytes;
		break;
	case FAULT_POWER_CUT:
		verdict->cut = verdict->cut ?: rule;
		break;
	}
}

void fault_judge(struct fault *fault, const struct fault_event *event,
		 struct fault_verdict *ret)
{
	struct fault_event now = *event;

	memset(ret, 0, sizeof(*ret));
	now.age_nsec = nsec_now() - fault->opened_nsec;
	for (unsigned int i = 0; i < fault->nr_rules; i++) {
		struct fault_armed *armed = &fault->rules[i];

		if (!fault_rule_applies(armed, &now))
			continue;
		if (armed->nr_applied == 1)
			rh_log(RH_LOG_INFO, fault->name,
			       "--fault=%s applies for the first time",
			       armed->text);
		add_effect(ret, armed);
	}
}

static bool changes_disk(const struct blk_request *request)
{
	return request->op != BLK_READ && request->op != BLK_FLUSH;
}

static bool must_be_durable(const struct fault *fault,
			    const struct blk_request *request)
{
	return request->flags & BLK_FUA ||
	       fault->driver.info.cache == DRIVER_CACHE_WRITETHROUGH;
}

/* What became of a request, or has to become of it. */
enum way {
	WAY_ANSWERED,
	WAY_PASS, /* to the wrapped driver */
	WAY_SYNC, /* after what is in the cache */
};

/*
 * A durable write need not go through the cache, unless older data of the
 * same place is there, which would overwrite it later.
 */
static enum way write_to_cache(struct fault *fault,
			       struct fault_request *request, int *ret)
{
	const struct blk_request *outer = request->outer;
	bool durable = must_be_durable(fault, outer);

	if (fault->driver.info.read_only)
		return WAY_PASS;
	*ret = durable ? fault->sync_error : 0;
	if (*ret)
		return WAY_ANSWERED;
	if (durable && !fault->nr_wanting_room &&
	    !fault_cache_overlaps(&fault->cache, outer->offset_bytes,
				  outer->bytes))
		return WAY_PASS;
	if (!fault_cache_could_hold(&fault->cache, outer)) {
		request->step = FAULT_STEP_EMPTY;
	} else if (fault->nr_wanting_room ||
		   !fault_cache_add(&fault->cache, outer)) {
		request->step = FAULT_STEP_ROOM;
	} else if (durable) {
		request->step = FAULT_STEP_SYNC;
		request->target = fault->cache.next;
	} else {
		return WAY_ANSWERED;
	}
	return WAY_SYNC;
}

static void read_through_cache(struct fault *fault,
			       struct fault_request *request)
{
	request->reads_cache = true;
	request->read_from = fault->cache.clean;
	list_append(&fault->reads, &request->read_link);
}

/* With the lock held. */
static enum way choose_way(struct fault *fault, struct fault_request *request,
			   int *ret)
{
	const struct blk_request *outer = request->outer;

	*ret = request->verdict.error;
	if (*ret)
		return WAY_ANSWERED;
	if (!fault->cache.data)
		return WAY_PASS;
	if (changes_disk(outer))
		return write_to_cache(fault, request, ret);
	if (outer->op == BLK_READ) {
		read_through_cache(fault, request);
		return WAY_PASS;
	}
	*ret = fault->sync_error;
	if (*ret)
		return WAY_ANSWERED;
	request->step = FAULT_STEP_SYNC;
	request->target = fault->cache.next;
	return WAY_SYNC;
}

static void answered(struct fault_request *request, int result);

/* True if nothing is answered any more. */
static bool take_back(struct fault_request *request)
{
	struct fault *fault = fault_of_request(request);
	bool cutting;

	pthread_mutex_lock(&fault->lock);
	fault->nr_inner--;
	cutting = fault->cutting;
	fault_cut_if_idle(fault);
	pthread_mutex_unlock(&fault->lock);
	return cutting;
}

static void inner_done(struct blk_request *inner, int result)
{
	struct fault_request *request =
		container_of(inner, struct fault_request, inner);

	if (!take_back(request))
		answered(request, result);
}

void fault_prepare(struct fault_request *request, const struct blk_request *as)
{
	struct blk_request *inner = &request->inner;

	inner->op = as->op;
	inner->flags = as->flags;
	inner->offset_bytes = as->offset_bytes;
	inner->bytes = as->bytes;
	inner->iov = as->iov;
	inner->nr_iov = as->nr_iov;
	inner->complete = inner_done;
}

bool fault_pass(struct fault_request *request, int *ret)
{
	struct fault_context *context = request->context;
	struct fault *fault = fault_of_request(request);
	enum driver_answer answer;
	bool cutting;

	pthread_mutex_lock(&fault->lock);
	cutting = fault->cutting;
	fault->nr_inner += !cutting;
	pthread_mutex_unlock(&fault->lock);
	if (cutting)
		return false;
	answer = fault->inner->ops->submit(context->inner, &request->inner);
	if (answer == DRIVER_QUEUED || take_back(request))
		return false;
	if (answer == DRIVER_BUSY) {
		list_append(&context->retries, &request->link);
		fault_wake(context);
		return false;
	}
	*ret = request->inner.result;
	return true;
}

static void flip_bit(const struct fault_request *request)
{
	uint64_t bit = request->verdict.flip_draw % (request->outer->bytes * 8);
	uint64_t byte = bit / 8;

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		if (byte < iov->iov_len) {
			((uint8_t *)iov->iov_base)[byte] ^=
				(uint8_t)(1u << bit % 8);
			return;
		}
		byte -= iov->iov_len;
	}
}

/* What is in the cache goes over what the wrapped driver has read. */
static void end_read(struct fault_request *request, int result)
{
	const struct fault_buffers buffers = {
		.offset_bytes = request->outer->offset_bytes,
		.bytes = request->outer->bytes,
		.iov = request->iov,
		.nr_iov = request->nr_iov,
	};
	struct fault *fault = fault_of_request(request);

	if (request->reads_cache) {
		pthread_mutex_lock(&fault->lock);
		if (!result)
			fault_cache_overlay(&fault->cache, request->read_from,
					    &buffers);
		list_remove(&request->read_link);
		fault_sync_drop(fault);
		pthread_mutex_unlock(&fault->lock);
	}
	if (!result && request->verdict.flip)
		flip_bit(request);
}

/* The wrapped driver has done, or refused, what request->inner says. */
static void answered(struct fault_request *request, int result)
{
	struct fault_context *context = request->context;

	if (request->step != FAULT_STEP_PASS) {
		fault_sync_answered(request, result);
		fault_sync_serve(context);
		return;
	}
	if (request->outer->op == BLK_READ)
		end_read(request, result);
	fault_finish(request, result);
}

/* The slot is free again. */
static void let_go(struct fault_request *request)
{
	struct fault_context *context = request->context;

	list_append(&context->free, &request->link);
	context->nr_completed++;
	if (!list_empty(&context->waiting))
		fault_wake(context);
}

void fault_finish(struct fault_request *request, int result)
{
	struct blk_request *outer = request->outer;

	let_go(request);
	outer->complete(outer, result);
}

/* True: it is answered, by ret. Completes nothing. */
static bool carry_out(struct fault_request *request, int *ret)
{
	struct fault *fault = fault_of_request(request);
	enum way way;

	pthread_mutex_lock(&fault->lock);
	if (fault->cutting) {
		pthread_mutex_unlock(&fault->lock);
		return false;
	}
	way = choose_way(fault, request, ret);
	if (way == WAY_SYNC)
		fault_sync_join(request);
	pthread_mutex_unlock(&fault->lock);
	if (way != WAY_PASS)
		return way == WAY_ANSWERED;
	fault_prepare(request, request->outer);
	if (!fault_pass(request, ret))
		return false;
	if (request->outer->op == BLK_READ)
		end_read(request, *ret);
	return true;
}

void fault_go_on(struct fault_request *request)
{
	int result;

	if (!fault_must_wait(request) && carry_out(request, &result))
		fault_finish(request, result);
}

void fault_retry(struct fault_request *request)
{
	int result;

	if (fault_pass(request, &result))
		answered(request, result);
}

/* Returns NULL when too many are under way. */
static struct fault_request *take_request(struct fault_context *context,
					  struct blk_request *outer)
{
	struct list_node *node = list_take_first(&context->free);
	struct fault_request *request;

	if (!node)
		return NULL;
	request = container_of(node, struct fault_request, link);
	request->outer = outer;
	request->step = FAULT_STEP_PASS;
	request->reads_cache = false;
	if (outer->op == BLK_READ && outer->nr_iov <= FAULT_MAX_IOV) {
		request->nr_iov = outer->nr_iov;
		memcpy(request->iov, outer->iov,
		       outer->nr_iov * sizeof(*outer->iov));
	}
	return request;
}

/* True: the power has failed. */
static bool ask_rules(struct fault *fault, struct fault_request *request)
{
	const struct blk_request *outer = request->outer;
	const struct fault_event event = {
		.op = (enum fault_op)outer->op,
		.offset_bytes = outer->offset_bytes,
		.bytes = outer->bytes,
	};
	bool cutting;

	pthread_mutex_lock(&fault->lock);
	cutting = fault->cutting;
	if (!cutting)
		fault_judge(fault, &event, &request->verdict);
	if (!cutting && request->verdict.cut) {
		if (fault->cache.data && changes_disk(outer))
			fault_cache_add(&fault->cache, outer);
		fault_cut(fault, request->verdict.cut);
		cutting = true;
	}
	pthread_mutex_unlock(&fault->lock);
	return cutting;
}

enum driver_answer fault_submit(struct driver_context *context,
				struct blk_request *outer)
{
	struct fault *fault = fault_of(context->driver);
	struct fault_request *request =
		take_request(fault_context_of(context), outer);

	if (!request)
		return DRIVER_BUSY;
	if (outer->nr_iov > FAULT_MAX_IOV) {
		outer->result = -EINVAL;
		let_go(request);
		return DRIVER_COMPLETED;
	}
	if (ask_rules(fault, request) || fault_must_wait(request) ||
	    !carry_out(request, &outer->result))
		return DRIVER_QUEUED;
	let_go(request);
	return DRIVER_COMPLETED;
}
