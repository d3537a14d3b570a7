/* SPDX-License-Identifier: MIT */
/*
 * report - what a run found, for people
 */
#include "bench/report.h"

#include <inttypes.h>

#include "common/base.h"
#include "server/sizes.h"

#define NSEC_PER_USEC 1000.0
#define TEXT_BYTES    32

struct text {
	char text[TEXT_BYTES];
};

/* About four digits, with k or M where that helps */
static struct text short_number(double value)
{
	static const char *const units[] = { "", "k", "M", "G" };
	struct text ret;
	unsigned int i = 0;

	while (value >= 10000 && i + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		i++;
	}
	snprintf(ret.text, sizeof(ret.text), "%.*f%s",
		 i == 0 || value >= 1000 ? 0 :
		 value >= 100		 ? 1 :
					   2,
		 value, units[i]);
	return ret;
}

static struct text time_text(double nsec)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	struct text ret;
	unsigned int i = 0;

	while (nsec >= 1000 && i + 1 < ARRAY_SIZE(units)) {
		nsec /= 1000;
		i++;
	}
	snprintf(ret.text, sizeof(ret.text), "%.*f %s",
		 i == 0 || nsec >= 100 ? 0 :
		 nsec >= 10	       ? 1 :
					 2,
		 nsec, units[i]);
	return ret;
}

static void print_latency(FILE *file, const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double share;
	} quantiles[] = {
		{ "50 %", .5 },
		{ "90 %", .9 },
		{ "99 %", .99 },
		{ "99.9 %", .999 },
	};

	fprintf(file, "    latency  min %s, mean %s, max %s\n            ",
		time_text((double)histogram->min).text,
		time_text(histogram_mean(histogram)).text,
		time_text((double)histogram->max).text);
	for (unsigned int i = 0; i < ARRAY_SIZE(quantiles); i++)
		fprintf(file, " %s %s%s", quantiles[i].name,
			time_text((double)histogram_quantile(
					  histogram, quantiles[i].share))
				.text,
			i + 1 < ARRAY_SIZE(quantiles) ? "," : "\n");
}

static void print_tally(FILE *file, const char *name, const struct tally *tally,
			const struct load *load,
			const struct load_result *result)
{
	const struct histogram *latency = &tally->latency;
	double iops = 0;

	if (!latency->nr && !tally->nr_errors)
		return;
	if (result->runtime_sec > 0)
		iops = (double)latency->nr / result->runtime_sec;
	fprintf(file, "  %s: IOPS %s, %.1f MiB/s, %" PRIu64 " requests", name,
		short_number(iops).text,
		iops * (double)load->options->block_bytes / (1 << 20),
		latency->nr);
	if (tally->nr_errors)
		fprintf(file, ", %" PRIu64 " failed", tally->nr_errors);
	fputc('\n', file);
	if (latency->nr)
		print_latency(file, latency);
}

static void print_head(FILE *file, const struct load *load,
		       const struct load_result *result)
{
	const struct bench_options *options = load->options;
	uint64_t features = load->backend.session.features;

	fprintf(file,
		"%s: %s of %s, %u under way on each of %u queue%s, %.2f s%s\n",
		options->socket, options->rw,
		sizes_format(options->block_bytes).text, options->iodepth,
		options->nr_queues, options->nr_queues == 1 ? "" : "s",
		result->runtime_sec,
		result->interrupted ? " (interrupted)" :
		result->failed	    ? " (until the back-end failed)" :
				      "");
	fprintf(file, "  disk of %s; %s rings of %u%s%s; %s\n",
		sizes_format(load->backend.nr_bytes).text,
		features & FE_FEATURE_PACKED ? "packed" : "split",
		load->shape.size,
		features & FE_FEATURE_INDIRECT ? ", indirect" : ", direct",
		features & FE_FEATURE_EVENT_IDX ? ", event index" : "",
		options->poll ? "polling" : "waiting for calls");
}

static void print_server(FILE *file, const struct load *load,
			 const struct load_result *result, double nr)
{
	const struct meter_result *server = &result->server;
	double cpu = (double)server->cpu_nsec / NSEC_PER_USEC / nr;

	fprintf(file, "  server %d: %.3f us of CPU a request",
		load->options->pid, cpu);
	if (server->system_share >= 0)
		fprintf(file, " (%.3f user, %.3f system)",
			cpu * (1 - server->system_share),
			cpu * server->system_share);
	fprintf(file, ", %.4f context switches",
		(double)server->nr_switches / nr);
	if (result->syscalls_per_request >= 0)
		fprintf(file, ", %.4f system calls",
			result->syscalls_per_request);
	fprintf(file, "; %s resident\n", sizes_format(server->rss_bytes).text);
}

void bench_report_text(FILE *file, const struct load *load,
		       const struct load_result *result)
{
	double nr =
		(double)(result->reads.latency.nr + result->writes.latency.nr +
			 result->flood.latency.nr);

	print_head(file, load, result);
	print_tally(file, "read", &result->reads, load, result);
	print_tally(file, "write", &result->writes, load, result);
	print_tally(file, "flood", &result->flood, load, result);
	if (load->options->verify)
		fprintf(file,
			"  verify: %" PRIu64 " blocks were read back, %" PRIu64
			" held something else\n",
			result->nr_checked, result->nr_mismatches);
	if (nr == 0)
		return;
	fprintf(file, "  %.4f kicks and %.4f calls a request\n",
		(double)result->nr_kicks / nr, (double)result->nr_calls / nr);
	fprintf(file, "  load: %.3f us of CPU a request\n",
		(double)result->cpu_nsec / NSEC_PER_USEC / nr);
	if (load->options->pid)
		print_server(file, load, result, nr);
}
