/* SPDX-License-Identifier: MIT */
/*
 * fault_context - a worker's part; requests that wait
 *
 * What waits for a time, or for others to complete, stands in one list, which
 * is looked at when the timer says so, or when something has completed. The
 * eventfd has the worker look at all lists in its next turn; other workers
 * signal it, too.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "common/fd.h"
#include "common/lazy.h"
#include "common/nsec.h"
#include "server/drivers/fault_context.h"

#define NEVER UINT64_MAX

void fault_wake(struct fault_context *context)
{
	rh_eventfd_signal(context->wake.fd);
}

static void set_timer(const struct fault_context *context)
{
	struct itimerspec spec = { 0 };
	uint64_t soonest = NEVER;
	int outcome;

	list_for_each(node, &context->waiting) {
		const struct fault_request *request =
			container_of(node, struct fault_request, link);

		soonest = MIN(soonest, request->deadline_nsec);
	}
	if (soonest != NEVER) {
		spec.it_value.tv_sec = (time_t)(soonest / NSEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(soonest % NSEC_PER_SEC);
	}
	outcome = timerfd_settime(context->timer.fd, TFD_TIMER_ABSTIME, &spec,
				  NULL);
	assert(outcome == 0);
}

static void wait_for(struct fault_request *request, enum fault_wait wait,
		     uint64_t nsec)
{
	struct fault_context *context = request->context;

	request->wait = wait;
	request->deadline_nsec = nsec ? nsec_now() + nsec : NEVER;
	list_append(&context->waiting, &request->link);
	set_timer(context);
}

/* Each wait is taken out of the verdict, and comes once. */
bool fault_must_wait(struct fault_request *request)
{
	struct fault_verdict *verdict = &request->verdict;
	struct fault_context *context = request->context;
	uint64_t delay_nsec = verdict->delay_nsec;
	uint64_t hold = verdict->hold;

	verdict->delay_nsec = 0;
	if (delay_nsec) {
		wait_for(request, FAULT_WAIT_DELAY, delay_nsec);
		return true;
	}
	verdict->hold = 0;
	if (hold && !context->nr_draining) {
		request->hold_until = context->nr_completed + hold;
		wait_for(request, FAULT_WAIT_HOLD, verdict->hold_nsec);
		return true;
	}
	if (!verdict->hang)
		return false;
	verdict->hang = false;
	verdict->error = -ETIMEDOUT;
	if (context->nr_draining)
		return false;
	wait_for(request, FAULT_WAIT_HANG, verdict->hang_nsec);
	return true;
}

static bool is_over(const struct fault_request *request, uint64_t now_nsec)
{
	const struct fault_context *context = request->context;

	if (request->deadline_nsec <= now_nsec)
		return true;
	if (request->wait == FAULT_WAIT_DELAY)
		return false;
	return context->nr_draining ||
	       (request->wait == FAULT_WAIT_HOLD &&
		context->nr_completed >= request->hold_until);
}

static void look_at_waiting(struct fault_context *context)
{
	uint64_t now_nsec = nsec_now();
	struct list_node over;
	struct list_node *node;

	if (list_empty(&context->waiting))
		return;
	list_init(&over);
	list_for_each(waiting, &context->waiting) {
		if (!is_over(container_of(waiting, struct fault_request, link),
			     now_nsec))
			continue;
		list_remove(waiting);
		list_append(&over, waiting);
	}
	set_timer(context);
	while ((node = list_take_first(&over)))
		fault_go_on(container_of(node, struct fault_request, link));
}

static void look_at_retries(struct fault_context *context)
{
	struct list_node retries;
	struct list_node *node;

	list_init(&retries);
	while ((node = list_take_first(&context->retries)))
		list_append(&retries, node);
	while ((node = list_take_first(&retries)))
		fault_retry(container_of(node, struct fault_request, link));
}

static void timer_expired(struct engine_watch *watch)
{
	rh_eventfd_drain(watch->fd); /* a timerfd reads like one */
	look_at_waiting(container_of(watch, struct fault_context, timer));
}

static void look_again(struct engine_watch *watch)
{
	struct fault_context *context =
		container_of(watch, struct fault_context, wake);

	rh_eventfd_drain(watch->fd);
	fault_engine_answer(&context->engine);
	look_at_retries(context);
	look_at_waiting(context);
	fault_sync_serve(context);
}

void fault_drain(struct driver_context *context, bool on)
{
	struct fault_context *mine = fault_context_of(context);

	mine->nr_draining += on ? 1 : -1u;
	fault_wake(mine);
}

static void destroy_context(struct fault_context *context)
{
	fault_engine_deinit(&context->engine);
	rh_lazy_free(context->iovecs, (size_t)FAULT_NR_REQUESTS * FAULT_MAX_IOV,
		     sizeof(*context->iovecs));
	rh_lazy_free(context->requests, FAULT_NR_REQUESTS,
		     sizeof(*context->requests));
	rh_fd_close(&context->wake.fd);
	rh_fd_close(&context->timer.fd);
	free(context);
}

static void one_is_removed(struct fault_context *context)
{
	if (!--context->nr_watches)
		destroy_context(context);
}

static void wake_removed(struct engine_watch *watch)
{
	one_is_removed(container_of(watch, struct fault_context, wake));
}

static void timer_removed(struct engine_watch *watch)
{
	one_is_removed(container_of(watch, struct fault_context, timer));
}

static int make_requests(struct fault_context *context)
{
	context->requests =
		rh_lazy_table(FAULT_NR_REQUESTS, struct fault_request);
	context->iovecs = rh_lazy_table(
		(size_t)FAULT_NR_REQUESTS * FAULT_MAX_IOV, struct iovec);
	if (!context->requests || !context->iovecs)
		return -ENOMEM;
	for (size_t i = 0; i < FAULT_NR_REQUESTS; i++) {
		struct fault_request *request = &context->requests[i];

		request->context = context;
		request->iov = &context->iovecs[i * FAULT_MAX_IOV];
		list_append(&context->free, &request->link);
	}
	return 0;
}

static int make_context(struct driver *driver, struct engine *engine,
			struct fault_context **ret)
{
	struct fault_context *context = calloc(1, sizeof(*context));
	int error;

	if (!context)
		return -ENOMEM;
	context->base = (struct driver_context){ driver, engine };
	list_init(&context->free);
	list_init(&context->waiting);
	list_init(&context->retries);
	context->wake.fd = rh_eventfd_create();
	context->wake.ready = look_again;
	context->wake.removed = wake_removed;
	context->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	context->timer.ready = timer_expired;
	context->timer.removed = timer_removed;
	error = context->wake.fd < 0 || context->timer.fd < 0 ?
			-EMFILE :
			make_requests(context);
	if (!error)
		error = fault_engine_init(&context->engine, fault_of(driver),
					  context);
	if (error)
		destroy_context(context);
	else
		*ret = context;
	return error;
}

/* What is watched is what must be unwatched before it goes. */
static int watch(struct fault_context *context, struct engine_watch *watch)
{
	int error = engine_watch(context->base.engine, watch);

	if (!error)
		context->nr_watches++;
	return error;
}

int fault_attach(struct driver *driver, struct engine *engine,
		 struct driver_context **ret)
{
	struct driver *inner = fault_of(driver)->inner;
	struct fault_context *context = NULL;
	int error = make_context(driver, engine, &context);

	if (error)
		return error;
	error = watch(context, &context->wake);
	if (error) {
		destroy_context(context);
		return error;
	}
	error = watch(context, &context->timer);
	if (!error)
		error = inner->ops->attach(inner, &context->engine.engine,
					   &context->inner);
	if (!error) {
		*ret = &context->base;
		return 0;
	}
	if (context->nr_watches == 2)
		engine_unwatch(engine, &context->timer);
	engine_unwatch(engine, &context->wake);
	return error;
}

void fault_detach(struct driver_context *context)
{
	struct fault_context *mine = fault_context_of(context);

	assert(list_empty(&mine->waiting) && list_empty(&mine->retries));
	fault_of(context->driver)->inner->ops->detach(mine->inner);
	engine_unwatch(context->engine, &mine->timer);
	engine_unwatch(context->engine, &mine->wake);
}
