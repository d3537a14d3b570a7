/* SPDX-License-Identifier: MIT */
/*
 * export_drain - requests end, and new ones wait meanwhile, or until a word
 *
 * A queue is asked back from its worker, which finishes what it has taken, as
 * for a move; then it goes back at once, or stays here while the export is
 * paused. The library, and so the front-end, takes it for running all the
 * time: each message is answered, and a queue that is held back can be stopped.
 *
 * What the device has asked back itself is drained when it has it, or when
 * it has started it again.
 */
#include "common/base.h"
#include "server/export_drain.h"
#include "server/export_internal.h"

static void begin_to_drain(struct export *export, struct export_queue *entry)
{
	if (entry->state == QUEUE_HELD || !entry->queue ||
	    !rh_queue_running(entry->queue))
		return;
	entry->draining = true;
	if (entry->state == QUEUE_WORKING)
		export_queue_recall(export, entry);
}

static bool still_drains(struct export_queue *entry)
{
	if (entry->state == QUEUE_IDLE && !rh_queue_running(entry->queue))
		entry->draining = false;
	return entry->draining;
}

static bool any_queue_drains(struct export *export)
{
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		struct export_queue *entry = &export->queues[i];

		if (entry->draining && still_drains(entry))
			return true;
	}
	return false;
}

void export_settle_drains(struct export *export)
{
	struct export_drain *drain;
	struct list_node *node;

	while (!list_empty(&export->drains) && !any_queue_drains(export)) {
		node = list_take_first(&export->drains);
		drain = container_of(node, struct export_drain, link);
		drain->done(drain);
	}
}

void export_drain(struct export *export, struct export_drain *drain)
{
	for (unsigned int i = 0; i < export->nr_queues; i++)
		begin_to_drain(export, &export->queues[i]);
	list_init(&drain->link);
	list_append(&export->drains, &drain->link);
	export_settle_drains(export);
}

void export_pause(struct export *export, struct export_drain *drain)
{
	export->paused = true;
	export_drain(export, drain);
}

void export_resume(struct export *export)
{
	export->paused = false;
	export_start_held(export);
}

bool export_paused(const struct export *export)
{
	return export->paused;
}
