/* SPDX-License-Identifier: MIT */
/*
 * sample - what a daemon has counted up to a moment, and between two
 */
#include "ctl/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "common/nsec.h"
#include "ctl/reply.h"

#define TAG "ringhost"

static const char *const kinds[] = {
	[SAMPLE_READ] = "read",
	[SAMPLE_WRITE] = "write",
	[SAMPLE_FLUSH] = "flush",
	[SAMPLE_DISCARD] = "discard",
	[SAMPLE_WRITE_ZEROES] = "write-zeroes",
	[SAMPLE_OTHER] = "other",
};

/* Members that are numbers: where they go, and what the daemon calls them. */
static const struct counter {
	const char *name;
	size_t offset;
} counters[] = {
	{ "reads", offsetof(struct sample_lane, reads) },
	{ "writes", offsetof(struct sample_lane, writes) },
	{ "flushes", offsetof(struct sample_lane, flushes) },
	{ "others", offsetof(struct sample_lane, others) },
	{ "errors", offsetof(struct sample_lane, errors) },
	{ "read-bytes", offsetof(struct sample_lane, read_bytes) },
	{ "written-bytes", offsetof(struct sample_lane, written_bytes) },
};

static uint64_t *counter_of(struct sample_lane *lane, size_t i)
{
	return (uint64_t *)(void *)((char *)lane + counters[i].offset);
}

void sample_deinit(struct sample *sample)
{
	for (size_t i = 0; i < sample->nr_lanes; i++) {
		free(sample->lanes[i].id);
		free(sample->lanes[i].iothread);
		for (unsigned int k = 0; k < SAMPLE_NR_KINDS; k++)
			spread_deinit(&sample->lanes[i].latency[k]);
	}
	free(sample->lanes);
	*sample = (struct sample){ 0 };
}

/* An empty one. NULL: no memory. */
static struct sample_lane *append(struct sample *sample, const char *id,
				  int queue, const char *iothread)
{
	struct sample_lane *lanes = reallocarray(
		sample->lanes, sample->nr_lanes + 1, sizeof(*lanes));
	struct sample_lane *lane;

	if (!lanes)
		return NULL;
	sample->lanes = lanes;
	lane = &lanes[sample->nr_lanes++];
	*lane = (struct sample_lane){ .id = strdup(id),
				      .queue = queue,
				      .iothread = strdup(iothread) };
	return lane->id && lane->iothread ? lane : NULL;
}

static int take_queue(struct sample_lane *lane, const json_t *queue)
{
	const json_t *latency = json_object_get(queue, "latency");
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		*counter_of(lane, i) = reply_number(queue, counters[i].name);
	lane->others += reply_number(queue, "discards") +
			reply_number(queue, "write-zeroes");
	lane->under_way = reply_number(queue, "under-way");
	for (unsigned int k = 0; !error && k < SAMPLE_NR_KINDS; k++)
		error = spread_add_json(
			&lane->latency[k],
			json_object_get(json_object_get(latency, kinds[k]),
					"buckets"));
	return error;
}

static int add_lane(struct sample_lane *all, struct sample_lane *lane)
{
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		*counter_of(all, i) += *counter_of(lane, i);
	all->under_way += lane->under_way;
	for (unsigned int k = 0; !error && k < SAMPLE_NR_KINDS; k++)
		error = spread_add(&all->latency[k], &lane->latency[k]);
	return error;
}

static int take_disk(struct sample *sample, const json_t *disk)
{
	const json_t *queues = json_object_get(disk, "queues");
	const char *id = reply_text(disk, "id");
	size_t first = sample->nr_lanes;
	int error = append(sample, id, SAMPLE_ALL, "") ? 0 : -ENOMEM;

	for (size_t i = 0; !error && i < json_array_size(queues); i++) {
		const json_t *queue = json_array_get(queues, i);
		struct sample_lane *lane =
			append(sample, id,
			       (int)MIN(reply_number(queue, "queue"),
					(uint64_t)INT32_MAX),
			       reply_text(queue, "iothread"));

		error = lane ? take_queue(lane, queue) : -ENOMEM;
		if (!error)
			error = add_lane(&sample->lanes[first], lane);
	}
	return error;
}

int sample_parse(const json_t *answer, uint64_t nsec, struct sample *ret)
{
	struct sample sample = { .nsec = nsec };
	int error = 0;

	for (size_t i = 0; !error && i < json_array_size(answer); i++)
		error = take_disk(&sample, json_array_get(answer, i));
	if (error) {
		rh_log(RH_LOG_ERROR, TAG,
		       "what the daemon has counted cannot be kept: %s",
		       strerror(-error));
		sample_deinit(&sample);
		return error;
	}
	*ret = sample;
	return 0;
}

json_t *sample_ask(struct link *link, const char *id)
{
	json_t *arguments = json_pack("{s:b}", "buckets", true);

	if (id)
		json_object_set_new(arguments, "id", json_string(id));
	return link_ask(link, "x-query-stats", arguments);
}

/*
 * Lanes come in the same order, unless disks were added or removed in between:
 * *hint is where to look first.
 */
static const struct sample_lane *
find(const struct sample *sample, const struct sample_lane *like, size_t *hint)
{
	for (size_t n = 0; n < sample->nr_lanes; n++) {
		size_t i = (*hint + n) % sample->nr_lanes;
		const struct sample_lane *lane = &sample->lanes[i];

		if (lane->queue != like->queue ||
		    strcmp(lane->id, like->id) != 0)
			continue;
		*hint = i + 1;
		return lane;
	}
	return NULL;
}

/* A disk that was made anew in between has counted from 0 on. */
static void subtract(struct sample_lane *now, const struct sample_lane *earlier)
{
	struct sample_lane copy = *earlier;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		if (*counter_of(now, i) < *counter_of(&copy, i))
			return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		*counter_of(now, i) -= *counter_of(&copy, i);
	for (unsigned int k = 0; k < SAMPLE_NR_KINDS; k++)
		spread_take_off(&now->latency[k], &earlier->latency[k]);
}

void sample_subtract(struct sample *now, const struct sample *earlier)
{
	size_t hint = 0;

	for (size_t i = 0; i < now->nr_lanes; i++) {
		const struct sample_lane *lane =
			find(earlier, &now->lanes[i], &hint);

		if (lane)
			subtract(&now->lanes[i], lane);
	}
	now->nsec -= MIN(earlier->nsec, now->nsec);
}

bool sample_is_unused(const struct sample_lane *lane)
{
	return lane->queue != SAMPLE_ALL && !*lane->iothread &&
	       !(lane->reads | lane->writes | lane->flushes | lane->others |
		 lane->errors | lane->under_way);
}

int sample_latency(const struct sample_lane *lane, struct spread *ret)
{
	int error = 0;

	*ret = (struct spread){ 0 };
	for (unsigned int k = 0; !error && k < SAMPLE_NR_KINDS; k++)
		error = spread_add(ret, &lane->latency[k]);
	if (error)
		spread_deinit(ret);
	return error;
}

double sample_rate(uint64_t count, uint64_t nsec)
{
	return nsec ? (double)count * (double)NSEC_PER_SEC / (double)nsec : 0;
}
