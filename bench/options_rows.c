/* SPDX-License-Identifier: MIT */
/*
 * options_rows - each option's name, its value, and where it goes
 *
 * A take function checks one value by itself and stores it; it knows nothing
 * of other options.
 */
#include "bench/options_rows.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/sizes.h"

#define TAG	     "ringhost"
#define SECTOR_BYTES 512
#define MAX_TIME_SEC (7 * 24 * 3600)
#define MAX_RATE     1000000000

static int refuse(const struct bench_parser *parser, const char *takes)
{
	rh_log(RH_LOG_ERROR, TAG, "--%s=%s is refused: it takes %s",
	       parser->row->name, parser->value, takes);
	return -EINVAL;
}

static int take_number(const struct bench_parser *parser, uint64_t min,
		       uint64_t max, uint64_t *ret)
{
	char takes[80];
	uint64_t number;
	char *end = NULL;

	errno = 0;
	number = strtoull(parser->value, &end, 10);
	if (!isdigit((unsigned char)*parser->value) || errno || *end ||
	    number < min || number > max) {
		snprintf(takes, sizeof(takes),
			 "a number from %" PRIu64 " to %" PRIu64, min, max);
		return refuse(parser, takes);
	}
	*ret = number;
	return 0;
}

static int take_count(const struct bench_parser *parser, uint32_t min,
		      uint32_t max, uint32_t *ret)
{
	uint64_t number;

	if (take_number(parser, min, max, &number) < 0)
		return -EINVAL;
	*ret = (uint32_t)number;
	return 0;
}

/* min: in msec */
static int take_time(const struct bench_parser *parser, uint64_t min,
		     uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t msec;
	} units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }
	};
	uint64_t number;
	char *end = NULL;

	errno = 0;
	number = strtoull(parser->value, &end, 10);
	if (!isdigit((unsigned char)*parser->value) || errno)
		return refuse(parser, "a time such as 5, 5s, 500ms or 2m");
	for (unsigned int i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (mul_overflows(number, units[i].msec, &number) ||
		    number < min || number > MAX_TIME_SEC * 1000ull)
			return refuse(parser, "a week at most, and not 0 but "
					      "for --ramp-time");
		*ret = number;
		return 0;
	}
	return refuse(parser, "a time such as 5, 5s, 500ms or 2m");
}

static int take_size(const struct bench_parser *parser, uint64_t max,
		     uint64_t *ret)
{
	uint64_t bytes;

	if (sizes_parse(parser->value, &bytes) < 0 || bytes > max ||
	    bytes % SECTOR_BYTES)
		return refuse(parser, "a multiple of 512 bytes, such as 64k");
	*ret = bytes;
	return 0;
}

static int take_bs(struct bench_parser *parser)
{
	uint64_t bytes;

	if (take_size(parser, UINT64_MAX, &bytes) < 0)
		return -EINVAL;
	if (!bytes || bytes > BENCH_MAX_BLOCK_BYTES)
		return refuse(parser, "512 bytes to 16M");
	parser->options->block_bytes = bytes;
	return 0;
}

static int take_flood(struct bench_parser *parser)
{
	return take_count(parser, 1, BENCH_MAX_IODEPTH,
			  &parser->options->flood);
}

static int take_help(struct bench_parser *parser)
{
	parser->options->help = true;
	return 0;
}

static int take_iodepth(struct bench_parser *parser)
{
	return take_count(parser, 1, BENCH_MAX_IODEPTH,
			  &parser->options->iodepth);
}

static int take_no_event_idx(struct bench_parser *parser)
{
	parser->options->event_idx = false;
	return 0;
}

static int take_no_indirect(struct bench_parser *parser)
{
	parser->options->indirect = false;
	return 0;
}

static int take_notify(struct bench_parser *parser)
{
	parser->options->poll = !strcmp(parser->value, "poll");
	if (!parser->options->poll && strcmp(parser->value, "wait"))
		return refuse(parser, "wait or poll");
	return 0;
}

static int take_numjobs(struct bench_parser *parser)
{
	return take_count(parser, 1, BENCH_MAX_QUEUES,
			  &parser->options->nr_queues);
}

static int take_offset(struct bench_parser *parser)
{
	return take_size(parser, UINT64_MAX, &parser->options->offset_bytes);
}

static int take_output(struct bench_parser *parser)
{
	if (!*parser->value)
		return refuse(parser, "the path of a file");
	parser->options->output = parser->value;
	return 0;
}

static int take_output_format(struct bench_parser *parser)
{
	if (!strcmp(parser->value, "normal"))
		parser->options->format = BENCH_FORMAT_NORMAL;
	else if (!strcmp(parser->value, "json"))
		parser->options->format = BENCH_FORMAT_JSON;
	else
		return refuse(parser, "normal or json");
	return 0;
}

static int take_packed(struct bench_parser *parser)
{
	parser->options->packed = true;
	return 0;
}

static int take_pid(struct bench_parser *parser)
{
	uint64_t number;

	if (take_number(parser, 1, INT32_MAX, &number) < 0)
		return -EINVAL;
	parser->options->pid = (pid_t)number;
	return 0;
}

static int take_queue_size(struct bench_parser *parser)
{
	return take_count(parser, 1, BENCH_MAX_QUEUE_SIZE,
			  &parser->options->queue_size);
}

static int take_quiet(struct bench_parser *parser)
{
	parser->options->quiet = true;
	return 0;
}

static int take_ramp_time(struct bench_parser *parser)
{
	return take_time(parser, 0, &parser->options->ramp_msec);
}

static int take_randseed(struct bench_parser *parser)
{
	return take_number(parser, 0, INT64_MAX, &parser->options->seed);
}

static int take_rate_iops(struct bench_parser *parser)
{
	return take_number(parser, 1, MAX_RATE, &parser->options->rate_iops);
}

static int take_runtime(struct bench_parser *parser)
{
	return take_time(parser, 1, &parser->options->runtime_msec);
}

static int take_rw(struct bench_parser *parser)
{
	static const struct {
		const char *name;
		bool reads, writes, random;
	} kinds[] = {
		{ "read", true, false, false },
		{ "write", false, true, false },
		{ "rw", true, true, false },
		{ "readwrite", true, true, false },
		{ "randread", true, false, true },
		{ "randwrite", false, true, true },
		{ "randrw", true, true, true },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(parser->value, kinds[i].name))
			continue;
		parser->options->rw = kinds[i].name;
		parser->options->reads = kinds[i].reads;
		parser->options->writes = kinds[i].writes;
		parser->options->random = kinds[i].random;
		return 0;
	}
	return refuse(parser, "read, write, rw, randread, randwrite or randrw");
}

static int take_rwmixread(struct bench_parser *parser)
{
	return take_count(parser, 0, 100, &parser->options->read_percent);
}

static int take_size_option(struct bench_parser *parser)
{
	return take_size(parser, UINT64_MAX, &parser->options->size_bytes);
}

static int take_threads(struct bench_parser *parser)
{
	return take_count(parser, 1, BENCH_MAX_THREADS,
			  &parser->options->nr_threads);
}

static int take_timeout(struct bench_parser *parser)
{
	return take_time(parser, 1, &parser->options->timeout_msec);
}

static int take_verify(struct bench_parser *parser)
{
	if (strcmp(parser->value, "pattern"))
		return refuse(parser, "pattern");
	parser->options->verify = true;
	return 0;
}

const struct bench_row bench_rows[BENCH_MAX_ROWS] = {
	{ "bs", take_bs, true },
	{ "flood", take_flood, true },
	{ "help", take_help, false },
	{ "iodepth", take_iodepth, true },
	{ "no-event-idx", take_no_event_idx, false },
	{ "no-indirect", take_no_indirect, false },
	{ "notify", take_notify, true },
	{ "numjobs", take_numjobs, true },
	{ "offset", take_offset, true },
	{ "output", take_output, true },
	{ "output-format", take_output_format, true },
	{ "packed", take_packed, false },
	{ "pid", take_pid, true },
	{ "queue-size", take_queue_size, true },
	{ "quiet", take_quiet, false },
	{ "ramp-time", take_ramp_time, true },
	{ "randseed", take_randseed, true },
	{ "rate-iops", take_rate_iops, true },
	{ "runtime", take_runtime, true },
	{ "rw", take_rw, true },
	{ "rwmixread", take_rwmixread, true },
	{ "size", take_size_option, true },
	{ "threads", take_threads, true },
	{ "timeout", take_timeout, true },
	{ "verify", take_verify, true },
};
