/* SPDX-License-Identifier: MIT */
/*
 * watch - what has been counted, and what happens
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base.h"
#include "common/nsec.h"
#include "ctl/commands.h"
#include "ctl/reply.h"
#include "ctl/sample.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void add_quantile(struct table *table, const struct spread *spread,
			 double share)
{
	if (spread_nr(spread))
		table_add(table, "%s",
			  text_nsec(spread_quantile(spread, share)).text);
	else
		table_add(table, "-");
}

static void add_lane(struct table *table, const struct sample_lane *lane)
{
	const uint64_t counts[] = { lane->reads, lane->writes, lane->flushes,
				    lane->others, lane->errors };

	table_add(table, "%s", lane->id);
	if (lane->queue == SAMPLE_ALL)
		table_add(table, "all");
	else
		table_add(table, "%d", lane->queue);
	for (unsigned int i = 0; i < ARRAY_SIZE(counts); i++)
		table_add(table, "%" PRIu64, counts[i]);
	table_add(table, "%s", text_bytes((double)lane->read_bytes).text);
	table_add(table, "%s", text_bytes((double)lane->written_bytes).text);
	table_add(table, "%" PRIu64, lane->under_way);
	for (unsigned int k = SAMPLE_READ; k <= SAMPLE_FLUSH; k++) {
		add_quantile(table, &lane->latency[k], 0.5);
		add_quantile(table, &lane->latency[k], 0.99);
	}
}

static int print_sample(const struct sample *sample, bool by_queue)
{
	static const struct table_column columns[] = {
		{ "DISK" },	    { "QUEUE", true },	 { "READS", true },
		{ "WRITES", true }, { "FLUSHES", true }, { "OTHERS", true },
		{ "ERRORS", true }, { "READ", true },	 { "WRITTEN", true },
		{ "DEPTH", true },  { "r p50", true },	 { "r p99", true },
		{ "w p50", true },  { "w p99", true },	 { "f p50", true },
		{ "f p99", true },
	};
	struct table table = { .columns = columns,
			       .nr_columns = ARRAY_SIZE(columns) };
	int error;

	for (size_t i = 0; i < sample->nr_lanes; i++) {
		const struct sample_lane *lane = &sample->lanes[i];

		if (lane->queue == SAMPLE_ALL ||
		    (by_queue && !sample_is_unused(lane)))
			add_lane(&table, lane);
	}
	error = table_print(&table, stdout, 0, 0);
	table_deinit(&table);
	return error;
}

int ctl_stats(struct ctl *ctl)
{
	const struct ctl_options *options = ctl->options;
	json_t *answer = sample_ask(&ctl->link,
				    options->nr_args ? options->args[0] : NULL);
	struct sample sample;
	int error;

	if (!answer)
		return -EIO;
	if (options->json)
		return ctl_print_json(answer);
	error = sample_parse(answer, nsec_now(), &sample);
	json_decref(answer);
	if (error)
		return error;
	error = print_sample(&sample, options->by_queue);
	sample_deinit(&sample);
	return error;
}

/* "id=e0": strings without quotation marks, all else as JSON */
static void print_member(const char *name, const json_t *value)
{
	cleanup_free char *text = NULL;

	putchar(' ');
	text_print(stdout, name);
	putchar('=');
	if (json_is_string(value)) {
		text_print(stdout, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	text_print(stdout, text ? text : "?");
}

static void print_event(json_t *event)
{
	const json_t *stamp = json_object_get(event, "timestamp");
	time_t seconds = (time_t)MIN(reply_number(stamp, "seconds"),
				     (uint64_t)INT32_MAX);
	char when[32] = "";
	struct tm tm;
	const char *name;
	json_t *value;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &tm);
	printf("%s ", when);
	text_print(stdout, reply_text(event, "event"));
	json_object_foreach(json_object_get(event, "data"), name, value)
		print_member(name, value);
	putchar('\n');
}

/* Until the daemon says that it ends; what comes then is no surprise. */
int ctl_events(struct ctl *ctl)
{
	bool ends = false;

	while (!ends) {
		json_t *event = link_next_event(&ctl->link);

		if (!event)
			return -EIO;
		ends = !strcmp(reply_text(event, "event"), "SHUTDOWN");
		if (ctl->options->json)
			json_dumpf(event, stdout, JSON_COMPACT);
		else
			print_event(event);
		if (ctl->options->json)
			putchar('\n');
		json_decref(event);
		if (fflush(stdout) != 0)
			return -errno;
	}
	return 0;
}
