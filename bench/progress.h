/* SPDX-License-Identifier: MIT */
/*
 * progress - one line that tells how it goes, while it goes
 *
 * On standard error, and only if that is a terminal.
 */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/crew.h"
#include "bench/options.h"

struct progress {
	const struct bench_options *options; /* not owned */
	bool wanted;
	uint64_t start_nsec;
	uint64_t last_nsec;
	uint64_t last_nr;
};

void progress_init(struct progress *progress,
		   const struct bench_options *options);

/* nr_answered: since the start. Once a second at most something is shown. */
void progress_show(struct progress *progress, enum crew_phase phase,
		   uint64_t now_nsec, uint64_t nr_answered);

/* The line is not needed any more. */
void progress_end(struct progress *progress);

#endif
