/* SPDX-License-Identifier: MIT */
/*
 * commands_stats - what the disks have done, by command
 *
 * x-query-stats tells of exports and their queues, query-blockstats, in QEMU's
 * words, of nodes: of all exports together that stand on one now.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/loglinear.h"
#include "common/nsec.h"
#include "server/blk_stats.h"
#include "server/commands.h"

static const char *const kind_names[] = {
	[BLK_KIND_READ] = "read",
	[BLK_KIND_WRITE] = "write",
	[BLK_KIND_FLUSH] = "flush",
	[BLK_KIND_DISCARD] = "discard",
	[BLK_KIND_WRITE_ZEROES] = "write-zeroes",
	[BLK_KIND_OTHER] = "other",
};

_Static_assert(ARRAY_SIZE(kind_names) == BLK_NR_KINDS, "each has a name");

/* All kinds of one queue, or of several together. */
struct sums {
	struct blk_kind_sum kinds[BLK_NR_KINDS];
};

static void add_queue(struct sums *sums, const struct blk_stats *stats)
{
	for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++)
		blk_stats_sum(stats, kind, &sums->kinds[kind]);
}

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* Those in which there is something, each with the longest time in it. */
static json_t *buckets_of(const struct blk_kind_sum *sum)
{
	json_t *buckets = json_array();

	for (unsigned int i = 0; i < BLK_LATENCY_NR_BUCKETS; i++) {
		uint64_t end = loglinear_lowest(i + 1, BLK_LATENCY_SUB_BITS);

		if (sum->buckets[i])
			json_array_append_new(
				buckets,
				json_pack("[I,I]", (json_int_t)(end - 1),
					  (json_int_t)sum->buckets[i]));
	}
	return buckets;
}

static json_t *latency_of(const struct blk_kind_sum *sum)
{
	json_t *latency = json_object();

	put(latency, "count", sum->nr);
	put(latency, "sum-ns", sum->sum_nsec);
	put(latency, "p50-ns", blk_kind_sum_quantile(sum, 500));
	put(latency, "p90-ns", blk_kind_sum_quantile(sum, 900));
	put(latency, "p99-ns", blk_kind_sum_quantile(sum, 990));
	put(latency, "p999-ns", blk_kind_sum_quantile(sum, 999));
	put(latency, "max-ns", sum->max_nsec);
	return latency;
}

static void put_sums(json_t *object, const struct sums *sums)
{
	const struct blk_kind_sum *kinds = sums->kinds;
	json_t *latency = json_object();
	uint64_t nr_failed = 0;

	put(object, "reads", kinds[BLK_KIND_READ].nr);
	put(object, "writes", kinds[BLK_KIND_WRITE].nr);
	put(object, "flushes", kinds[BLK_KIND_FLUSH].nr);
	put(object, "discards", kinds[BLK_KIND_DISCARD].nr);
	put(object, "write-zeroes", kinds[BLK_KIND_WRITE_ZEROES].nr);
	put(object, "others", kinds[BLK_KIND_OTHER].nr);
	put(object, "read-bytes", kinds[BLK_KIND_READ].bytes);
	put(object, "written-bytes", kinds[BLK_KIND_WRITE].bytes);
	put(object, "discarded-bytes", kinds[BLK_KIND_DISCARD].bytes);
	put(object, "zeroed-bytes", kinds[BLK_KIND_WRITE_ZEROES].bytes);
	for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++) {
		nr_failed += kinds[kind].nr_failed;
		json_object_set_new(latency, kind_names[kind],
				    latency_of(&kinds[kind]));
	}
	put(object, "errors", nr_failed);
	json_object_set_new(object, "latency", latency);
}

/* Into what put_sums() has made. */
static void put_buckets(json_t *object, const struct sums *sums)
{
	json_t *latency = json_object_get(object, "latency");

	for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++)
		json_object_set_new(json_object_get(latency, kind_names[kind]),
				    "buckets", buckets_of(&sums->kinds[kind]));
}

static json_t *describe_queue(struct daemon *daemon,
			      const struct export *export, unsigned int queue,
			      struct sums *sums, bool buckets)
{
	const struct blk_stats *stats = export_stats(export, queue);
	const struct iothread *iothread = iothreads_of(
		&daemon->iothreads, export_queue_worker(export, queue));
	json_t *object = json_object();

	memset(sums, 0, sizeof(*sums));
	add_queue(sums, stats);
	put(object, "queue", queue);
	json_object_set_new(object, "iothread",
			    iothread ? json_string(iothread->name) :
				       json_null());
	put(object, "under-way", atomic_load(&stats->nr_under_way));
	put_sums(object, sums);
	if (buckets)
		put_buckets(object, sums);
	return object;
}

static json_t *describe_export(struct daemon *daemon,
			       const struct published *published,
			       struct sums *sums, bool buckets)
{
	const struct export *export = published->export;
	pid_t pid = export_peer(export);
	json_t *queues = json_array();

	for (unsigned int i = 0; i < export_nr_queues(export); i++)
		json_array_append_new(queues, describe_queue(daemon, export, i,
							     sums, buckets));
	return json_pack("{s:s,s:s,s:b,s:I,s:o}", "id", published->id,
			 "node-name", published->node->name, "connected",
			 pid != -1, "pid", (json_int_t)MAX(pid, 0), "queues",
			 queues);
}

/* Room for sums, which the caller frees; NULL: refused. */
static struct sums *allocate_sums(struct qmp_call *call)
{
	struct sums *sums = calloc(1, sizeof(*sums));

	if (!sums)
		qmp_refuse(call, "out of memory");
	return sums;
}

void command_x_query_stats(struct daemon *daemon, struct qmp_call *call)
{
	cleanup_free struct sums *sums = NULL;
	struct args args;
	const char *id;
	json_t *list;
	bool buckets;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_OPTIONAL);
	buckets = args_flag(&args, "buckets", false);
	if (id && !exports_find(&daemon->exports, id))
		args_refuse(&args, "Export '%.64s' is not found", id);
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	sums = allocate_sums(call);
	if (!sums)
		return;
	list = json_array();
	list_for_each(node, &daemon->exports.list) {
		const struct published *published = published_of(node);

		if (!id || !strcmp(id, published->id))
			json_array_append_new(list,
					      describe_export(daemon, published,
							      sums, buckets));
	}
	qmp_return(call, list);
}

/* QEMU's four groups of numbers, of which each has names of its own. */
static void put_group(json_t *stats, const char *name,
		      const struct blk_kind_sum *sum)
{
	const struct {
		const char *format;
		uint64_t value;
	} rows[] = {
		{ "%s_operations", sum->nr - MIN(sum->nr, sum->nr_failed) },
		{ "%s_total_time_ns", sum->sum_nsec },
		{ "failed_%s_operations", sum->nr_failed - sum->nr_invalid },
		{ "invalid_%s_operations", sum->nr_invalid },
	};
	char key[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(key, sizeof(key), rows[i].format, name);
		put(stats, key, rows[i].value);
	}
	if (!strcmp(name, "flush"))
		return;
	snprintf(key, sizeof(key), "%s_bytes", name);
	put(stats, key, sum->bytes);
	snprintf(key, sizeof(key), "%s_merged", name);
	put(stats, key, 0); /* what guests send is not put together */
}

/* A write of zeroes is a write, as it is to QEMU's virtio-blk. */
static void count_as_writes(struct sums *sums)
{
	struct blk_kind_sum *writes = &sums->kinds[BLK_KIND_WRITE];
	const struct blk_kind_sum *zeroes = &sums->kinds[BLK_KIND_WRITE_ZEROES];

	writes->nr += zeroes->nr;
	writes->nr_failed += zeroes->nr_failed;
	writes->nr_invalid += zeroes->nr_invalid;
	writes->bytes += zeroes->bytes;
	writes->sum_nsec += zeroes->sum_nsec;
}

static json_t *qemu_stats(struct sums *sums, uint64_t last_nsec)
{
	static const struct blk_kind_sum none;
	json_t *stats = json_object();

	count_as_writes(sums);
	put_group(stats, "rd", &sums->kinds[BLK_KIND_READ]);
	put_group(stats, "wr", &sums->kinds[BLK_KIND_WRITE]);
	put_group(stats, "flush", &sums->kinds[BLK_KIND_FLUSH]);
	put_group(stats, "unmap", &sums->kinds[BLK_KIND_DISCARD]);
	put_group(stats, "zone_append", &none); /* a disk without zones */
	put(stats, "wr_highest_offset", 0);
	if (last_nsec)
		put(stats, "idle_time_ns", nsec_now() - last_nsec);
	json_object_set_new(stats, "account_invalid", json_true());
	json_object_set_new(stats, "account_failed", json_true());
	json_object_set_new(stats, "timed_stats", json_array());
	return stats;
}

static bool stands_on(const struct published *published,
		      const struct node *node)
{
	const struct node *under = published->node;

	while (under && under != node)
		under = under->base;
	return under;
}

static json_t *describe_node(struct daemon *daemon, const struct node *node,
			     struct sums *sums)
{
	uint64_t last_nsec = 0;

	memset(sums, 0, sizeof(*sums));
	list_for_each(link, &daemon->exports.list) {
		const struct published *published = published_of(link);
		const struct export *export = published->export;

		if (!stands_on(published, node))
			continue;
		for (unsigned int i = 0; i < export_nr_queues(export); i++) {
			const struct blk_stats *stats = export_stats(export, i);
			uint64_t nsec = atomic_load(&stats->last_nsec);

			add_queue(sums, stats);
			last_nsec = MAX(last_nsec, nsec);
		}
	}
	return json_pack("{s:s,s:o}", "node-name", node->name, "stats",
			 qemu_stats(sums, last_nsec));
}

void command_query_blockstats(struct daemon *daemon, struct qmp_call *call)
{
	cleanup_free struct sums *sums = NULL;
	struct args args;
	json_t *list;

	args_begin(&args, call->arguments, call->typed);
	args_flag(&args, "query-nodes", false);
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	sums = allocate_sums(call);
	if (!sums)
		return;
	list = json_array();
	list_for_each(link, &daemon->nodes)
		json_array_append_new(
			list,
			describe_node(daemon,
				      container_of(link, struct node, link),
				      sums));
	qmp_return(call, list);
}
