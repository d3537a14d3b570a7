/* SPDX-License-Identifier: MIT */
/*
 * export_drain - waiting until an export's requests have ended, and pausing it
 *
 * Control thread.
 */
#ifndef SERVER_EXPORT_DRAIN_H
#define SERVER_EXPORT_DRAIN_H

#include "common/list.h"
#include "server/export.h"

/* Somebody who waits until requests have ended. */
struct export_drain {
	struct list_node link; /* of export_drain.c */
	/* In the control thread; may free it, and must not free the export. */
	void (*done)(struct export_drain *drain);
};

/*
 * Call drain->done() when each request that is under way now has ended, which
 * may be within this call; it is called once, also if the export is stopped
 * meanwhile. Requests that come later wait for those of their own queue.
 */
void export_drain(struct export *export, struct export_drain *drain);

/*
 * Take no request any more until export_resume(). Asynchronous: drain as
 * above. For the front-end its queues run, so all that it may do meanwhile
 * is done; only its guest waits.
 */
void export_pause(struct export *export, struct export_drain *drain);
void export_resume(struct export *export);
bool export_paused(const struct export *export);

#endif
