/* SPDX-License-Identifier: MIT */
/*
 * size_watch - images that get another size by themselves
 *
 * The thread of a round touches a node only while that is current, and takes
 * the next one under the lock, where the control thread strikes out those that
 * are to go. So a node whose storage does not answer stops the rounds, and
 * stands in nobody else's way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/size_watch.h"

#define TAG "ringhost"

struct size_round {
	struct job job;
	struct size_watch *watch;
	size_t nr;
	struct size_look {
		struct node *node; /* NULL: struck out */
		int error;
		uint64_t size_bytes;
	} looks[];
};

static struct node *next_node(struct size_watch *watch, struct size_look *look)
{
	struct node *node;

	pthread_mutex_lock(&watch->lock);
	node = look->node;
	watch->current = node;
	pthread_mutex_unlock(&watch->lock);
	return node;
}

static void move_on(struct size_watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	watch->current = NULL;
	pthread_cond_broadcast(&watch->moved_on);
	pthread_mutex_unlock(&watch->lock);
}

static void measure_all(struct job *job)
{
	struct size_round *round = container_of(job, struct size_round, job);

	for (size_t i = 0; i < round->nr; i++) {
		struct size_look *look = &round->looks[i];
		struct node *node = next_node(round->watch, look);

		if (!node)
			continue;
		look->error = node_measure(node, &look->size_bytes);
		move_on(round->watch);
	}
}

static void take(struct size_watch *watch, const struct size_look *look)
{
	uint64_t old_bytes = look->node->driver->info.size_bytes;

	if (look->error || look->size_bytes == old_bytes)
		return;
	node_set_size(look->node, look->size_bytes);
	watch->changed(watch, look->node, old_bytes);
}

static void round_ended(struct job *job)
{
	struct size_round *round = container_of(job, struct size_round, job);
	struct size_watch *watch = round->watch;
	bool again = watch->again;

	for (size_t i = 0; i < round->nr; i++) {
		if (round->looks[i].node)
			take(watch, &round->looks[i]);
	}
	watch->round = NULL;
	watch->again = false;
	free(round);
	if (again)
		size_watch_look(watch);
}

static bool is_measured(const struct node *node)
{
	return !node->base && !node->resizing && node->driver->ops->refresh;
}

static struct size_round *make_round(struct size_watch *watch)
{
	struct size_round *round;
	size_t nr = 0;

	list_for_each(link, watch->nodes)
		nr++;
	round = calloc(1, sizeof(*round) + nr * sizeof(round->looks[0]));
	if (!round)
		return NULL;
	round->job = (struct job){ .work = measure_all, .done = round_ended };
	round->watch = watch;
	list_for_each(link, watch->nodes) {
		struct node *node = container_of(link, struct node, link);

		if (is_measured(node))
			round->looks[round->nr++].node = node;
	}
	return round;
}

void size_watch_look(struct size_watch *watch)
{
	struct size_round *round;
	int error = -ENOMEM;

	if (watch->round) {
		watch->again = true;
		return;
	}
	round = make_round(watch);
	if (round)
		error = jobs_start(watch->jobs, &round->job);
	if (!error) {
		watch->round = round;
		return;
	}
	free(round);
	rh_log(RH_LOG_WARNING, TAG,
	       "cannot start a thread to look at the sizes of the images: %s",
	       strerror(-error));
}

void size_watch_forget(struct size_watch *watch, const struct node *node)
{
	struct size_round *round = watch->round;

	if (!round)
		return;
	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < round->nr; i++) {
		if (round->looks[i].node == node)
			round->looks[i].node = NULL;
	}
	pthread_mutex_unlock(&watch->lock);
}

void size_watch_wait(struct size_watch *watch, const struct node *node)
{
	pthread_mutex_lock(&watch->lock);
	while (watch->current == node)
		pthread_cond_wait(&watch->moved_on, &watch->lock);
	pthread_mutex_unlock(&watch->lock);
}

bool size_watch_busy(struct size_watch *watch, const struct node *node)
{
	bool busy;

	size_watch_forget(watch, node);
	pthread_mutex_lock(&watch->lock);
	busy = watch->current == node;
	pthread_mutex_unlock(&watch->lock);
	return busy;
}

/* A round that has not ended by then is waited for. */
static void tick(struct loop_watch *loop_watch, uint32_t events)
{
	struct size_watch *watch =
		container_of(loop_watch, struct size_watch, timer);

	(void)events;
	rh_eventfd_drain(watch->timer_fd); /* a timerfd reads like one */
	if (watch->ticks && !watch->round)
		size_watch_look(watch);
}

static void set_timer(struct size_watch *watch, unsigned int seconds)
{
	const struct timespec interval = { .tv_sec = seconds };
	const struct itimerspec spec = { interval, interval };

	timerfd_settime(watch->timer_fd, 0, &spec, NULL);
}

void size_watch_enable(struct size_watch *watch, bool on)
{
	if (!watch->interval_seconds || watch->ticks == on)
		return;
	watch->ticks = on;
	set_timer(watch, on ? watch->interval_seconds : 0);
}

int size_watch_init(struct size_watch *watch, unsigned int interval_seconds)
{
	watch->interval_seconds = interval_seconds;
	watch->timer = (struct loop_watch){ .fd = -1, .ready = tick };
	pthread_mutex_init(&watch->lock, NULL);
	pthread_cond_init(&watch->moved_on, NULL);
	watch->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->timer_fd < 0)
		return -errno;
	return loop_add(watch->loop, &watch->timer, watch->timer_fd, EPOLLIN);
}

void size_watch_deinit(struct size_watch *watch)
{
	loop_remove(watch->loop, &watch->timer);
	rh_fd_close(&watch->timer_fd);
}
