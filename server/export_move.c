/* SPDX-License-Identifier: MIT */
/*
 * export_move - a queue goes from one worker to another while it runs
 *
 * For the library and the front-end the queue runs all the time. Its worker
 * finishes what it has taken, as for a stop, but does not give the queue to the
 * library: it tells the control thread through a pipe, which has another worker
 * go on with it. Whether the device has asked for the queue in the meantime is
 * looked at then, so that it never has to wait for the new worker.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "server/export_internal.h"

#define MEMORY_WAIT_MSEC 10

/*
 * In the worker's thread. There is room for each queue once, which is enough;
 * but a pipe takes memory of the host, and this must arrive.
 */
static void note_let_go(void *opaque)
{
	struct export_queue *entry = opaque;

	while (write(entry->let_go_fd, &entry, sizeof(entry)) < 0) {
		assert(errno == EINTR || errno == ENOMEM);
		if (errno == ENOMEM)
			poll(NULL, 0, MEMORY_WAIT_MSEC);
	}
}

void export_queue_recall(struct export *export, struct export_queue *entry)
{
	export_queue_set_state(entry, QUEUE_MOVING);
	entry->let_go_fd = export->moves_fds[1];
	worker_queue_stop(entry->worker, entry->queue, note_let_go, entry);
}

void export_move(struct export *export, unsigned int queue,
		 struct worker *worker)
{
	struct export_queue *entry = &export->queues[queue];

	assert(queue < export->nr_queues);
	entry->assigned = worker;
	if (entry->state != QUEUE_WORKING || worker == entry->worker)
		return;
	export_queue_recall(export, entry);
}

static void go_on(struct export *export, struct export_queue *entry)
{
	entry->draining = false;
	if (entry->state == QUEUE_LEAVING) {
		export_queue_set_state(entry, QUEUE_IDLE);
		rh_queue_stopped(entry->queue);
		return;
	}
	if (export->paused) {
		export_queue_set_state(entry, QUEUE_HELD);
		return;
	}
	if (export_queue_hand_over(export, entry) == 0)
		return;
	export_queue_set_state(entry, QUEUE_HELD);
	rh_queue_fail(entry->queue, "its new worker could not take it");
}

void export_continue_moves(struct export *export)
{
	struct export_queue *entry;

	while (read(export->moves_fds[0], &entry, sizeof(entry)) ==
	       sizeof(entry))
		go_on(export, entry);
}

int export_move_all(struct export *export, struct worker *const *workers,
		    unsigned int nr_workers)
{
	struct worker **copy = calloc(nr_workers, sizeof(*copy));

	if (!copy) {
		rh_log(RH_LOG_ERROR, export->name, "out of memory");
		return -ENOMEM;
	}
	memcpy(copy, workers, nr_workers * sizeof(*copy));
	free(export->workers);
	export->workers = copy;
	export->nr_workers = nr_workers;
	for (unsigned int i = 0; i < export->nr_queues; i++)
		export_move(export, i, workers[i % nr_workers]);
	return 0;
}

static bool entry_uses(const struct export_queue *entry,
		       const struct worker *worker)
{
	return entry->assigned == worker ||
	       (entry->worker == worker && entry->queue &&
		rh_queue_running(entry->queue));
}

bool export_uses(const struct export *export, const struct worker *worker)
{
	for (unsigned int i = 0; i < export->nr_workers; i++) {
		if (export->workers[i] == worker)
			return true;
	}
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		if (entry_uses(&export->queues[i], worker))
			return true;
	}
	return false;
}

bool export_moves(const struct export *export)
{
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		if (export->queues[i].state == QUEUE_MOVING ||
		    export->queues[i].state == QUEUE_LEAVING)
			return true;
	}
	return false;
}
