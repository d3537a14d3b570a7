/* SPDX-License-Identifier: MIT */
/*
 * report_json - what a run found, for programs
 *
 * One object; a figure that could not be measured is null.
 */
#include <errno.h>
#include <jansson.h>

#include "bench/report.h"
#include "common/base.h"

#define NSEC_PER_USEC  1000.0
#define REPORT_VERSION 1
#define REPORT_DIGITS  6

static json_t *ratio(double value, uint64_t by)
{
	return by ? json_real(value / (double)by) : json_null();
}

static json_t *make_latency(const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double share;
	} quantiles[] = {
		{ "p50", .5 },
		{ "p90", .9 },
		{ "p99", .99 },
		{ "p99.9", .999 },
	};
	json_t *object;

	if (!histogram->nr)
		return json_null();
	object = json_pack("{s:f, s:f, s:f}", "min",
			   (double)histogram->min / NSEC_PER_USEC, "mean",
			   histogram_mean(histogram) / NSEC_PER_USEC, "max",
			   (double)histogram->max / NSEC_PER_USEC);
	for (unsigned int i = 0; i < ARRAY_SIZE(quantiles); i++)
		json_object_set_new(
			object, quantiles[i].name,
			json_real((double)histogram_quantile(
					  histogram, quantiles[i].share) /
				  NSEC_PER_USEC));
	return object;
}

static json_t *make_tally(const struct tally *tally, const struct load *load,
			  const struct load_result *result)
{
	const struct histogram *latency = &tally->latency;
	double iops = 0;

	if (result->runtime_sec > 0)
		iops = (double)latency->nr / result->runtime_sec;
	return json_pack("{s:I, s:I, s:f, s:f, s:o}", "requests",
			 (json_int_t)latency->nr, "errors",
			 (json_int_t)tally->nr_errors, "iops", iops,
			 "bytes_per_sec",
			 iops * (double)load->options->block_bytes,
			 "latency_usec", make_latency(latency));
}

static json_t *make_job(const struct load *load)
{
	const struct bench_options *options = load->options;

	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, "
		"s:I, s:I, s:s, s:b}",
		"rw", options->rw, "rwmixread",
		(json_int_t)options->read_percent, "bs",
		(json_int_t)options->block_bytes, "size",
		(json_int_t)options->size_bytes, "offset",
		(json_int_t)options->offset_bytes, "iodepth",
		(json_int_t)options->iodepth, "numjobs",
		(json_int_t)options->nr_queues, "threads",
		(json_int_t)MIN(options->nr_threads, options->nr_queues),
		"queue_size", (json_int_t)load->shape.size, "runtime",
		(double)options->runtime_msec / 1000, "ramp_time",
		(double)options->ramp_msec / 1000, "rate_iops",
		(json_int_t)options->rate_iops, "randseed",
		(json_int_t)options->seed, "notify",
		options->poll ? "poll" : "wait", "verify", options->verify);
}

static json_t *make_features(const struct load *load)
{
	uint64_t features = load->backend.session.features;

	return json_pack("{s:b, s:b, s:b, s:I, s:I}", "packed",
			 !!(features & FE_FEATURE_PACKED), "indirect",
			 !!(features & FE_FEATURE_INDIRECT), "event_idx",
			 !!(features & FE_FEATURE_EVENT_IDX), "nr_queues",
			 (json_int_t)load->backend.nr_queues, "size_bytes",
			 (json_int_t)load->backend.nr_bytes);
}

static json_t *make_server(const struct load *load,
			   const struct load_result *result, uint64_t nr)
{
	const struct meter_result *server = &result->server;
	double cpu_usec = (double)server->cpu_nsec / NSEC_PER_USEC;
	double share = server->system_share;
	bool split = share >= 0;

	return json_pack(
		"{s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "pid",
		(json_int_t)load->options->pid, "cpu_usec_per_request",
		ratio(cpu_usec, nr), "user_usec_per_request",
		split ? ratio(cpu_usec * (1 - share), nr) : json_null(),
		"system_usec_per_request",
		split ? ratio(cpu_usec * share, nr) : json_null(),
		"context_switches_per_request",
		ratio((double)server->nr_switches, nr), "syscalls_per_request",
		result->syscalls_per_request < 0 ?
			json_null() :
			json_real(result->syscalls_per_request),
		"rss_bytes", (json_int_t)server->rss_bytes);
}

int bench_report_json(FILE *file, const struct load *load,
		      const struct load_result *result)
{
	struct tally total = result->reads;
	uint64_t nr;
	json_t *root;
	int error;

	tally_merge(&total, &result->writes);
	nr = total.latency.nr + result->flood.latency.nr;
	root = json_pack(
		"{s:i, s:s, s:o, s:o, s:f, s:b, s:o, s:o, s:o, s:o, s:o, "
		"s:{s:o}}",
		"ringhost_bench", REPORT_VERSION, "socket",
		load->options->socket, "job", make_job(load), "features",
		make_features(load), "runtime_sec", result->runtime_sec,
		"complete", !result->interrupted && !result->failed, "total",
		make_tally(&total, load, result), "read",
		make_tally(&result->reads, load, result), "write",
		make_tally(&result->writes, load, result), "kicks_per_request",
		ratio((double)result->nr_kicks, nr), "calls_per_request",
		ratio((double)result->nr_calls, nr), "load",
		"cpu_usec_per_request",
		ratio((double)result->cpu_nsec / NSEC_PER_USEC, nr));
	if (root && load->options->flood)
		json_object_set_new(root, "flood",
				    make_tally(&result->flood, load, result));
	if (root && load->options->verify)
		json_object_set_new(
			root, "verify",
			json_pack("{s:I, s:I}", "checked",
				  (json_int_t)result->nr_checked, "mismatches",
				  (json_int_t)result->nr_mismatches));
	if (root && load->options->pid)
		json_object_set_new(root, "server",
				    make_server(load, result, nr));
	error = !root || json_dumpf(root, file,
				    JSON_INDENT(2) | JSON_REAL_PRECISION(
							     REPORT_DIGITS)) ?
			-ENOMEM :
			0;
	if (!error)
		fputc('\n', file);
	json_decref(root);
	return error;
}
