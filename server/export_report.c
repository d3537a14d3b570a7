/* SPDX-License-Identifier: MIT */
/*
 * export_report - what happens to an export, told at a bounded rate
 *
 * A guest can have its storage fail, and break its queues, as often as it
 * likes, and a front-end can come and go. Whoever listens is told at once, and
 * then not again for a second: what has come meanwhile is told together, with
 * how often it was. One timer does both: workers let it expire for their first
 * failure, and here it is set to the end of that second. It rests where nothing
 * happens.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/fd.h"
#include "server/export_internal.h"

#define MAX_PEERS_AT_ONCE 16 /* comings and goings in a second */

int export_report_init(struct export *export)
{
	struct export_report *report = &export->report;

	report->told_peer = -1;
	if (!export->listener)
		return 0;
	report->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (report->timer_fd < 0)
		return -errno;
	blk_failures_tell(virtio_blk_failures(export->blk), report->timer_fd);
	return 0;
}

void export_report_deinit(struct export *export)
{
	rh_fd_close(&export->report.timer_fd);
}

/* Workers leave the timer alone meanwhile. */
static void wait_a_second(struct export *export)
{
	const struct itimerspec later = { .it_value.tv_sec = 1 };

	if (export->report.waits)
		return;
	export->report.waits = true;
	blk_failures_listen(virtio_blk_failures(export->blk), false);
	timerfd_settime(export->report.timer_fd, 0, &later, NULL);
}

static void tell_peer(struct export *export)
{
	struct export_report *report = &export->report;
	struct export_listener *listener = export->listener;

	if (export->peer == report->told_peer)
		return;
	if (report->told_peer != -1)
		listener->ops->disconnected(listener);
	if (export->peer != -1)
		listener->ops->connected(listener, export->peer);
	report->told_peer = export->peer;
	report->nr_peers_told++;
	wait_a_second(export);
}

static void tell_broken(struct export *export)
{
	struct export_report *report = &export->report;

	if (!report->nr_broken)
		return;
	export->listener->ops->queue_broken(export->listener,
					    report->broken_queue, report->why,
					    report->nr_broken);
	report->nr_broken = 0;
	wait_a_second(export);
}

static void tell_failures(struct export *export)
{
	struct blk_failure failure;

	if (!blk_failures_take(virtio_blk_failures(export->blk), &failure))
		return;
	export->listener->ops->io_failed(export->listener, &failure);
	wait_a_second(export);
}

void export_report_peer(struct export *export)
{
	if (export->report.nr_peers_told < MAX_PEERS_AT_ONCE)
		tell_peer(export);
}

void export_report_broken(struct export *export, unsigned int queue,
			  const char *why)
{
	struct export_report *report = &export->report;

	if (!export->listener)
		return;
	report->nr_broken++;
	report->broken_queue = queue;
	snprintf(report->why, sizeof(report->why), "%s", why);
	if (!report->waits)
		tell_broken(export);
}

void export_report_run(struct export *export)
{
	struct export_report *report = &export->report;
	uint64_t nr_expired;

	if (report->timer_fd < 0 ||
	    read(report->timer_fd, &nr_expired, sizeof(nr_expired)) < 0)
		return;
	report->waits = false;
	report->nr_peers_told = 0;
	blk_failures_listen(virtio_blk_failures(export->blk), true);
	tell_failures(export);
	tell_broken(export);
	tell_peer(export);
}
