/* SPDX-License-Identifier: MIT */
/*
 * progress - one line that tells how it goes, while it goes
 */
#include "bench/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/nsec.h"
#include "common/base.h"

#define INTERVAL_NSEC (500 * NSEC_PER_MSEC)
#define ERASE_LINE    "\r\033[K"

void progress_init(struct progress *progress,
		   const struct bench_options *options)
{
	*progress = (struct progress){
		.options = options,
		.wanted = !options->quiet && isatty(STDERR_FILENO),
		.start_nsec = nsec_now(),
	};
	progress->last_nsec = progress->start_nsec;
}

void progress_show(struct progress *progress, enum crew_phase phase,
		   uint64_t now_nsec, uint64_t nr_answered)
{
	static const char *const names[] = {
		[CREW_RAMPS] = "ramps up", [CREW_MEASURES] = "measures",
		[CREW_GOES_ON] = "counts", [CREW_CHECKS] = "ends",
		[CREW_ENDS] = "ends",	   [CREW_FLEES] = "ends",
	};
	const struct bench_options *options = progress->options;
	uint64_t distance = now_nsec - progress->last_nsec;
	uint64_t nr = nr_answered - progress->last_nr;
	double iops = (double)nr * (double)NSEC_PER_SEC /
		      (double)MAX(distance, UINT64_C(1));

	if (!progress->wanted || distance < INTERVAL_NSEC)
		return;
	fprintf(stderr, ERASE_LINE "%s, %.0f of %.0f s: %.0f IOPS, %.0f MiB/s",
		names[phase],
		(double)(now_nsec - progress->start_nsec) /
			(double)NSEC_PER_SEC,
		(double)(options->ramp_msec + options->runtime_msec) / 1000,
		iops, iops * (double)options->block_bytes / (1 << 20));
	fflush(stderr);
	progress->last_nsec = now_nsec;
	progress->last_nr = nr_answered;
}

void progress_end(struct progress *progress)
{
	if (progress->wanted)
		fputs(ERASE_LINE, stderr);
}
