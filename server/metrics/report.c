/* SPDX-License-Identifier: MIT */
/*
 * report - what is known of exports, as metrics
 *
 * The format wants all samples of a family together, so each family walks over
 * all exports. What changes while a queue lives, such as the thread that runs
 * it, is in a family of its own: a label that changed would begin a new series
 * of each counter.
 */
#include "server/metrics/report.h"

#include <stdio.h>
#include <string.h>

#include <ringhost/version.h>

#include "common/base.h"
#include "common/nsec.h"
#include "server/metrics/exposition.h"

struct report {
	const struct report_export *exports;
	unsigned int nr_exports;
	struct exposition text;
};

/* A counter of each queue: a number of one kind of request. */
static const struct counter_row {
	const char *name;
	const char *help;
	enum blk_kind kind;
	size_t offset; /* in struct report_kind */
} counter_rows[] = {
#define NR    offsetof(struct report_kind, nr)
#define BYTES offsetof(struct report_kind, bytes)
	{ "ringhost_export_reads_total", "Reads that ended.", BLK_KIND_READ,
	  NR },
	{ "ringhost_export_writes_total", "Writes that ended.", BLK_KIND_WRITE,
	  NR },
	{ "ringhost_export_flushes_total", "Flushes that ended.",
	  BLK_KIND_FLUSH, NR },
	{ "ringhost_export_discards_total", "Discards that ended.",
	  BLK_KIND_DISCARD, NR },
	{ "ringhost_export_write_zeroes_total", "Write-zeroes that ended.",
	  BLK_KIND_WRITE_ZEROES, NR },
	{ "ringhost_export_other_requests_total",
	  "Other requests that ended, such as those for an ID.", BLK_KIND_OTHER,
	  NR },
	{ "ringhost_export_read_bytes_total", "Bytes read.", BLK_KIND_READ,
	  BYTES },
	{ "ringhost_export_written_bytes_total", "Bytes written.",
	  BLK_KIND_WRITE, BYTES },
	{ "ringhost_export_discarded_bytes_total", "Bytes discarded.",
	  BLK_KIND_DISCARD, BYTES },
	{ "ringhost_export_zeroed_bytes_total", "Bytes zeroed.",
	  BLK_KIND_WRITE_ZEROES, BYTES },
#undef NR
#undef BYTES
};

static const char *const operations[] = {
	[BLK_KIND_READ] = "read",
	[BLK_KIND_WRITE] = "write",
	[BLK_KIND_FLUSH] = "flush",
	[BLK_KIND_DISCARD] = "discard",
	[BLK_KIND_WRITE_ZEROES] = "write_zeroes",
	[BLK_KIND_OTHER] = "other",
};

static const struct histogram_row {
	const char *name;
	const char *help;
} histogram_rows[REPORT_NR_HISTOGRAMS] = {
	[BLK_KIND_READ] = { "ringhost_export_read_seconds",
			    "How long reads took." },
	[BLK_KIND_WRITE] = { "ringhost_export_write_seconds",
			     "How long writes took." },
	[BLK_KIND_FLUSH] = { "ringhost_export_flush_seconds",
			     "How long flushes took." },
};

void report_add_queue(struct report_export *export, struct report_queue *queue,
		      const struct blk_stats *stats)
{
	struct blk_kind_sum sum;

	queue->nr_under_way = atomic_load_explicit(&stats->nr_under_way,
						   memory_order_relaxed);
	for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++) {
		memset(&sum, 0, sizeof(sum));
		blk_stats_sum(stats, kind, &sum);
		queue->kinds[kind] = (struct report_kind){
			.nr = sum.nr,
			.nr_failed = sum.nr_failed,
			.bytes = sum.bytes,
		};
		if (kind >= REPORT_NR_HISTOGRAMS || !sum.nr)
			continue;
		export->latencies[kind].nr += sum.nr;
		export->latencies[kind].sum_nsec += sum.sum_nsec;
		for (unsigned int i = 0; i < REPORT_NR_BUCKETS; i++)
			export->latencies[kind].below[i] +=
				blk_kind_sum_below(&sum, REPORT_FIRST_BITS + i);
	}
}

static void begin_sample(struct report *report, const char *suffix,
			 const struct report_export *export)
{
	exposition_sample(&report->text, suffix);
	exposition_label(&report->text, "export", export->id);
}

static void write_counter(struct report *report, const struct counter_row *row)
{
	exposition_family(&report->text, row->name, EXPOSITION_COUNTER,
			  row->help);
	for (unsigned int i = 0; i < report->nr_exports; i++) {
		const struct report_export *export = &report->exports[i];

		for (unsigned int j = 0; j < export->nr_queues; j++) {
			const struct report_kind *kind =
				&export->queues[j].kinds[row->kind];

			begin_sample(report, "", export);
			exposition_label_number(&report->text, "queue", j);
			exposition_number(
				&report->text,
				*(const uint64_t *)((const uint8_t *)kind +
						    row->offset));
		}
	}
}

static void write_errors(struct report *report)
{
	exposition_family(&report->text, "ringhost_export_errors_total",
			  EXPOSITION_COUNTER,
			  "Requests that ended without success.");
	for (unsigned int i = 0; i < report->nr_exports; i++) {
		const struct report_export *export = &report->exports[i];

		for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++) {
			uint64_t nr_failed = 0;

			for (unsigned int j = 0; j < export->nr_queues; j++)
				nr_failed +=
					export->queues[j].kinds[kind].nr_failed;
			begin_sample(report, "", export);
			exposition_label(&report->text, "operation",
					 operations[kind]);
			exposition_number(&report->text, nr_failed);
		}
	}
}

static void write_buckets(struct report *report,
			  const struct report_export *export,
			  const struct report_histogram *histogram)
{
	char bound[32];

	for (unsigned int i = 0; i < REPORT_NR_BUCKETS; i++) {
		uint64_t nsec = UINT64_C(1) << (REPORT_FIRST_BITS + i);

		snprintf(bound, sizeof(bound), "%.12g",
			 (double)nsec / (double)NSEC_PER_SEC);
		begin_sample(report, "_bucket", export);
		exposition_label(&report->text, "le", bound);
		exposition_number(&report->text, histogram->below[i]);
	}
	begin_sample(report, "_bucket", export);
	exposition_label(&report->text, "le", "+Inf");
	exposition_number(&report->text, histogram->nr);
}

static void write_histogram(struct report *report, unsigned int kind)
{
	exposition_family(&report->text, histogram_rows[kind].name,
			  EXPOSITION_HISTOGRAM, histogram_rows[kind].help);
	for (unsigned int i = 0; i < report->nr_exports; i++) {
		const struct report_export *export = &report->exports[i];
		const struct report_histogram *histogram =
			&export->latencies[kind];

		write_buckets(report, export, histogram);
		begin_sample(report, "_sum", export);
		exposition_seconds(&report->text, histogram->sum_nsec);
		begin_sample(report, "_count", export);
		exposition_number(&report->text, histogram->nr);
	}
}

static void write_under_way(struct report *report)
{
	exposition_family(&report->text, "ringhost_export_requests_under_way",
			  EXPOSITION_GAUGE, "Requests taken and not answered.");
	for (unsigned int i = 0; i < report->nr_exports; i++) {
		const struct report_export *export = &report->exports[i];

		for (unsigned int j = 0; j < export->nr_queues; j++) {
			begin_sample(report, "", export);
			exposition_label_number(&report->text, "queue", j);
			exposition_number(&report->text,
					  export->queues[j].nr_under_way);
		}
	}
}

static void write_queue_info(struct report *report)
{
	exposition_family(&report->text, "ringhost_export_queue_info",
			  EXPOSITION_GAUGE,
			  "Always 1; which I/O thread runs a queue.");
	for (unsigned int i = 0; i < report->nr_exports; i++) {
		const struct report_export *export = &report->exports[i];

		for (unsigned int j = 0; j < export->nr_queues; j++) {
			const char *iothread = export->queues[j].iothread;

			begin_sample(report, "", export);
			exposition_label_number(&report->text, "queue", j);
			exposition_label(&report->text, "iothread",
					 iothread ? iothread : "");
			exposition_number(&report->text, 1);
		}
	}
}

static void write_exports(struct report *report)
{
	struct exposition *text = &report->text;
	const struct report_export *exports = report->exports;
	unsigned int nr = report->nr_exports;

	exposition_family(text, "ringhost_export_info", EXPOSITION_GAUGE,
			  "Always 1; which node an export stands on.");
	for (unsigned int i = 0; i < nr; i++) {
		begin_sample(report, "", &exports[i]);
		exposition_label(text, "node", exports[i].node);
		exposition_number(text, 1);
	}
	exposition_family(text, "ringhost_export_connected", EXPOSITION_GAUGE,
			  "1 while a front-end is connected.");
	for (unsigned int i = 0; i < nr; i++) {
		begin_sample(report, "", &exports[i]);
		exposition_number(text, exports[i].connected);
	}
	exposition_family(text, "ringhost_export_sessions_ended_total",
			  EXPOSITION_COUNTER,
			  "Front-ends that have come and gone.");
	for (unsigned int i = 0; i < nr; i++) {
		begin_sample(report, "", &exports[i]);
		exposition_number(text, exports[i].nr_sessions_ended);
	}
	exposition_family(text, "ringhost_export_size_bytes", EXPOSITION_GAUGE,
			  "The size of the image.");
	for (unsigned int i = 0; i < nr; i++) {
		begin_sample(report, "", &exports[i]);
		exposition_number(text, exports[i].size_bytes);
	}
}

static void write_fact(struct exposition *text, const char *name,
		       const char *help, int64_t value)
{
	if (value < 0)
		return;
	exposition_family(text, name, EXPOSITION_GAUGE, help);
	exposition_sample(text, "");
	exposition_number(text, (uint64_t)value);
}

/* Under the names that all programs have for them. */
static void write_process(struct exposition *text,
			  const struct report_process *process)
{
	if (process->cpu_nsec >= 0) {
		exposition_family(text, "process_cpu_seconds_total",
				  EXPOSITION_COUNTER,
				  "Processor time of all threads.");
		exposition_sample(text, "");
		exposition_seconds(text, (uint64_t)process->cpu_nsec);
	}
	write_fact(text, "process_start_time_seconds",
		   "When the process began, since 1970.", process->start_sec);
	write_fact(text, "process_resident_memory_bytes",
		   "Resident memory, guest memory in use included.",
		   process->resident_bytes);
	write_fact(text, "process_open_fds", "Open file descriptors.",
		   process->nr_fds);
	write_fact(text, "process_max_fds", "The limit of file descriptors.",
		   process->max_fds);
}

static void write_build(struct exposition *text)
{
	exposition_family(text, "ringhost_build_info", EXPOSITION_GAUGE,
			  "Always 1; what this program is.");
	exposition_sample(text, "");
	exposition_label(text, "version", rh_version());
	exposition_number(text, 1);
}

int report_write(const struct report_export *exports, unsigned int nr_exports,
		 const struct report_process *process, char **text,
		 size_t *nr_bytes)
{
	struct report report = { .exports = exports, .nr_exports = nr_exports };
	int error = exposition_begin(&report.text);

	if (error)
		return error;
	write_build(&report.text);
	write_exports(&report);
	write_queue_info(&report);
	write_under_way(&report);
	for (size_t i = 0; i < ARRAY_SIZE(counter_rows); i++)
		write_counter(&report, &counter_rows[i]);
	write_errors(&report);
	for (unsigned int kind = 0; kind < REPORT_NR_HISTOGRAMS; kind++)
		write_histogram(&report, kind);
	write_process(&report.text, process);
	return exposition_end(&report.text, text, nr_bytes);
}
