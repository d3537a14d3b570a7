/* SPDX-License-Identifier: MIT */
/*
 * load - one run: prepared, and counted up when it has ended
 */
#include "bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/nsec.h"
#include "bench/watch.h"
#include "common/base.h"
#include "common/log.h"

#define TAG "ringhost"

static bool is_flooded(const struct bench_options *options, uint32_t i)
{
	return options->flood && i == options->nr_queues - 1;
}

static int prepare_lanes(struct load *load, struct job_range range)
{
	const struct bench_options *options = load->options;
	struct lane_setup setup = {
		.shape = load->shape,
		.block_bytes = options->block_bytes,
		.run = options->seed ^ nsec_now(),
		.verify = options->verify,
		.waits = !options->poll,
	};
	int error = 0;

	for (uint32_t i = 0; i < options->nr_queues && !error; i++) {
		struct job_range share = range;

		/* where two queues must not meet, or would do the same */
		if (options->verify || !options->random)
			share = job_share(range, i, options->nr_queues);
		setup.shape.nr_slots = is_flooded(options, i) ?
					       options->flood :
					       options->iodepth;
		job_init(&setup.job, share, options->random,
			 options->read_percent, options->seed + i);
		error = lane_init(&load->lanes[i], &load->backend.memory,
				  &setup);
	}
	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot prepare the queues: %s",
		       strerror(-error));
	return error;
}

static int check_ledgers(const struct bench_options *options,
			 struct job_range range)
{
	if (!options->verify || range.nr <= LEDGER_MAX_BLOCKS)
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "--verify remembers %llu blocks at most: give a --size",
	       (unsigned long long)LEDGER_MAX_BLOCKS);
	return -EFBIG;
}

int load_init(struct load *load, const struct bench_options *options)
{
	struct job_range range;
	int error;

	memset(load, 0, sizeof(*load));
	load->options = options;
	error = options->pid ? meter_init(&load->meter, options->pid) : 0;
	if (!error)
		error = backend_connect(&load->backend, options);
	if (!error)
		error = backend_find_range(&load->backend, options, &range);
	if (!error)
		error = backend_find_shape(&load->backend, options,
					   &load->shape);
	if (!error)
		error = check_ledgers(options, range);
	if (!error)
		error = backend_add_memory(&load->backend, &load->shape,
					   options->nr_queues);
	if (error)
		return error;
	load->lanes = calloc(options->nr_queues, sizeof(*load->lanes));
	if (!load->lanes)
		return -ENOMEM;
	error = prepare_lanes(load, range);
	if (!error)
		error = backend_show_memory(&load->backend);
	for (uint32_t i = 0; i < options->nr_queues && !error; i++)
		error = backend_start_queue(&load->backend, &load->lanes[i].vq,
					    i);
	return error;
}

void load_deinit(struct load *load)
{
	for (uint32_t i = 0; load->lanes && i < load->options->nr_queues; i++)
		lane_deinit(&load->lanes[i]);
	free(load->lanes);
	load->lanes = NULL;
	backend_deinit(&load->backend);
}

static void count_up(const struct load *load, struct load_result *ret)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < load->options->nr_queues; i++) {
		const struct lane *lane = &load->lanes[i];
		bool apart = is_flooded(load->options, i);

		tally_merge(apart ? &ret->flood : &ret->reads, &lane->reads);
		tally_merge(apart ? &ret->flood : &ret->writes, &lane->writes);
		ret->nr_checked += lane->nr_checked;
		ret->nr_mismatches += lane->nr_mismatches;
	}
	for (uint32_t i = 0; i < load->crew.nr_members; i++) {
		const struct crew_member *member = &load->crew.members[i];

		ret->nr_kicks += member->nr_kicks;
		ret->nr_calls += member->nr_calls;
		if (!member->end_nsec)
			continue;
		ret->cpu_nsec += member->cpu_nsec;
		longest = MAX(longest, member->end_nsec - member->begin_nsec);
	}
	ret->runtime_sec = (double)longest / (double)NSEC_PER_SEC;
}

int load_run(struct load *load, struct load_result *ret)
{
	const struct bench_options *options = load->options;
	const struct crew_setup setup = {
		.lanes = load->lanes,
		.nr_lanes = options->nr_queues,
		.nr_members = MIN(options->nr_threads, options->nr_queues),
		.poll = options->poll,
		.rate = options->rate_iops,
	};
	int error;

	memset(ret, 0, sizeof(*ret));
	ret->syscalls_per_request = -1;
	tally_clear(&ret->reads);
	tally_clear(&ret->writes);
	tally_clear(&ret->flood);
	error = watch_block_signals();
	if (!error)
		error = crew_init(&load->crew, &setup);
	if (error) {
		rh_log(RH_LOG_ERROR, TAG, "cannot start the load: %s",
		       strerror(-error));
		crew_set_phase(&load->crew, CREW_FLEES);
	} else {
		watch_run(load, ret);
		count_up(load, ret);
	}
	crew_deinit(&load->crew);
	return error;
}
