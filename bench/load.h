/* SPDX-License-Identifier: MIT */
/*
 * load - one run: the phases in time, and an eye on the back-end
 *
 * The main thread sets the phases, reads the server's figures where one ends,
 * shows progress, and notices what the threads that drive the queues have no
 * time to look for: a connection that closes, an error fd, silence, a signal.
 * What ends a run early is logged as one sentence.
 *
 * Owner: the main thread.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/backend.h"
#include "bench/crew.h"
#include "bench/meter.h"
#include "bench/options.h"
#include "bench/tally.h"

struct load_result {
	double runtime_sec; /* 0: nothing was measured */
	struct tally reads;
	struct tally writes;
	struct tally flood; /* all that its queue asked; not in the above */
	uint64_t nr_kicks;
	uint64_t nr_calls;
	uint64_t cpu_nsec;	     /* of the threads that drive the queues */
	uint64_t nr_checked;	     /* blocks that were read back */
	uint64_t nr_mismatches;	     /* that held something else */
	double syscalls_per_request; /* negative: not known */
	bool interrupted;
	bool failed;		    /* the back-end did, and it was told */
	struct meter_result server; /* with --pid */
};

struct load {
	const struct bench_options *options; /* not owned */
	struct backend backend;
	struct vq_shape shape;
	struct lane *lanes; /* options->nr_queues */
	struct crew crew;
	struct meter meter;
};

/*
 * Connect, and prepare everything but the threads. Returns 0 or -errno
 * (logged); deinit is harmless after failure.
 */
int load_init(struct load *load, const struct bench_options *options);
void load_deinit(struct load *load);

/* Once. Returns 0 with *ret set, or -errno (logged). */
int load_run(struct load *load, struct load_result *ret);

#endif
