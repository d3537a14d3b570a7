/* SPDX-License-Identifier: MIT */
/*
 * top - what the disks do now, again and again
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base.h"
#include "common/log.h"
#include "common/nsec.h"
#include "ctl/commands.h"
#include "ctl/sample.h"
#include "ctl/screen.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define TAG	       "ringhost"
#define FIRST_MSEC     500 /* so soon there is something to see */
#define LINES_AROUND   3   /* the one above, the titles, and the last one */
#define KEY_QUIT       'q'
#define KEY_QUEUES     'e'
#define KEY_INTERRUPT  3
#define END	       1 /* of top, as its user wishes */
#define ERASE_AND_DOWN "\033[K\n"

struct top {
	struct ctl *ctl;
	struct sample last;
	struct sample between; /* what happened before that */
	bool by_queue;
	bool has_screen;
};

/* The second and third one are left out where there is nothing but disks. */
static const struct table_column columns[] = {
	{ "DISK" },
	{ "QUEUE", true },
	{ "I/O THREAD" },
	{ "READ/s", true },
	{ "WRITE/s", true },
	{ "READ B/s", true },
	{ "WRITE B/s", true },
	{ "p50", true },
	{ "p99", true },
	{ "p99.9", true },
	{ "DEPTH", true },
	{ "ERRORS", true },
};

static const struct table_column disk_columns[] = {
	{ "DISK" },	      { "READ/s", true },    { "WRITE/s", true },
	{ "READ B/s", true }, { "WRITE B/s", true }, { "p50", true },
	{ "p99", true },      { "p99.9", true },     { "DEPTH", true },
	{ "ERRORS", true },
};

static const double shares[] = { 0.5, 0.99, 0.999 };

static void add_latency(struct table *table, const struct sample_lane *lane)
{
	struct spread spread;

	if (sample_latency(lane, &spread) < 0) {
		table->failed = true;
		return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(shares); i++) {
		uint64_t nsec = spread_quantile(&spread, shares[i]);

		if (spread_nr(&spread))
			table_add(table, "%s", text_nsec(nsec).text);
		else
			table_add(table, "-");
	}
	spread_deinit(&spread);
}

static void add_queue(struct table *table, const struct sample_lane *lane)
{
	if (lane->queue == SAMPLE_ALL)
		table_add(table, "all");
	else
		table_add(table, "%d", lane->queue);
	table_add(table, "%s", lane->iothread);
}

static void add_lane(struct table *table, const struct sample_lane *lane,
		     uint64_t nsec)
{
	const struct {
		uint64_t count;
		struct text_number (*text)(double value);
	} rates[] = {
		{ lane->reads, text_count },
		{ lane->writes, text_count },
		{ lane->read_bytes, text_bytes },
		{ lane->written_bytes, text_bytes },
	};

	table_add(table, "%s", lane->id);
	if (table->columns == columns)
		add_queue(table, lane);
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		double rate = sample_rate(rates[i].count, nsec);

		table_add(table, "%s", rates[i].text(rate).text);
	}
	add_latency(table, lane);
	table_add(table, "%" PRIu64, lane->under_way);
	table_add(table, "%" PRIu64, lane->errors);
}

/* Returns 0 or -ENOMEM. */
static int print_table(const struct top *top, FILE *file, unsigned int width,
		       size_t max_rows)
{
	struct table table = { .columns = columns,
			       .nr_columns = ARRAY_SIZE(columns) };
	int error;

	if (!top->by_queue) {
		table.columns = disk_columns;
		table.nr_columns = ARRAY_SIZE(disk_columns);
	}
	for (size_t i = 0; i < top->between.nr_lanes; i++) {
		const struct sample_lane *lane = &top->between.lanes[i];

		if (lane->queue == SAMPLE_ALL ||
		    (top->by_queue && !sample_is_unused(lane)))
			add_lane(&table, lane, top->between.nsec);
	}
	error = table_print(&table, file, width, max_rows);
	table_deinit(&table);
	return error;
}

static json_t *describe(const struct sample_lane *lane, uint64_t nsec)
{
	json_t *object =
		json_pack("{s:f,s:f,s:f,s:f,s:f,s:I,s:I}", "read-iops",
			  sample_rate(lane->reads, nsec), "write-iops",
			  sample_rate(lane->writes, nsec), "flush-iops",
			  sample_rate(lane->flushes, nsec), "read-bps",
			  sample_rate(lane->read_bytes, nsec), "write-bps",
			  sample_rate(lane->written_bytes, nsec), "errors",
			  (json_int_t)lane->errors, "under-way",
			  (json_int_t)lane->under_way);
	static const char *const names[] = { "p50-ns", "p99-ns", "p999-ns" };
	json_t *latency = json_object();
	struct spread spread;

	if (sample_latency(lane, &spread) == 0) {
		for (unsigned int i = 0; i < ARRAY_SIZE(shares); i++)
			json_object_set_new(
				latency, names[i],
				json_integer((json_int_t)spread_quantile(
					&spread, shares[i])));
		spread_deinit(&spread);
	}
	json_object_set_new(object, "latency", latency);
	return object;
}

/* One line. */
static int print_json(const struct top *top)
{
	const struct sample *between = &top->between;
	json_t *disks = json_array();
	json_t *lists = json_array(); /* of queues, told or not */
	json_t *queues = NULL;
	json_t *line;
	int error;

	for (size_t i = 0; i < between->nr_lanes; i++) {
		const struct sample_lane *lane = &between->lanes[i];
		json_t *object = describe(lane, between->nsec);

		if (lane->queue == SAMPLE_ALL) {
			queues = json_array();
			json_object_set_new(object, "id",
					    json_string(lane->id));
			if (top->by_queue)
				json_object_set(object, "queues", queues);
			json_array_append_new(lists, queues);
			json_array_append_new(disks, object);
		} else {
			json_object_set_new(object, "queue",
					    json_integer(lane->queue));
			json_object_set_new(object, "iothread",
					    json_string(lane->iothread));
			json_array_append_new(queues, object);
		}
	}
	json_decref(lists);
	line = json_pack("{s:I,s:I,s:o}", "time", (json_int_t)time(NULL),
			 "interval-ns", (json_int_t)between->nsec, "disks",
			 disks);
	error = json_dumpf(line, stdout, JSON_COMPACT) < 0 ? -EIO : 0;
	json_decref(line);
	putchar('\n');
	return error;
}

static int print_batch(const struct top *top)
{
	int error = top->ctl->options->json ? print_json(top) :
					      print_table(top, stdout, 0, 0);

	if (!error && !top->ctl->options->json)
		putchar('\n');
	if (!error && fflush(stdout) != 0)
		error = -errno;
	return error;
}

/* Lines that are shorter than those before them leave nothing behind. */
static void draw_lines(const char *text)
{
	screen_draw_begin(stdout);
	for (; *text; text++) {
		if (*text == '\n')
			fputs(ERASE_AND_DOWN, stdout);
		else
			putchar(*text);
	}
	screen_draw_end(stdout);
}

static int draw(const struct top *top)
{
	cleanup_free char *text = NULL;
	unsigned int width;
	unsigned int height;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);
	int error;

	if (!file)
		return -ENOMEM;
	screen_size(&width, &height);
	fprintf(file, "%.*s\n", (int)width,
		"ringhost ctl top: q ends, e shows each queue");
	error = print_table(top, file, width,
			    MAX(height, LINES_AROUND + 1u) - LINES_AROUND);
	if (fclose(file) != 0 || error)
		return error ? error : -ENOMEM;
	draw_lines(text);
	return 0;
}

/* What has happened since the last look. */
static int look(struct top *top)
{
	json_t *answer = sample_ask(&top->ctl->link, NULL);
	uint64_t nsec = nsec_now();
	struct sample now = { 0 };
	int error = answer ? sample_parse(answer, nsec, &now) : -EIO;

	if (!error && top->last.nsec) {
		sample_deinit(&top->between);
		error = sample_parse(answer, nsec, &top->between);
		if (!error)
			sample_subtract(&top->between, &top->last);
	}
	json_decref(answer);
	if (error) {
		sample_deinit(&now);
		return error;
	}
	sample_deinit(&top->last);
	top->last = now;
	return 0;
}

static void sleep_until(uint64_t nsec)
{
	const struct timespec until = {
		.tv_sec = (time_t)(nsec / NSEC_PER_SEC),
		.tv_nsec = (long)(nsec % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
	       EINTR)
		;
}

/* Returns 0 at that time, END, or -errno. */
static int wait_until(struct top *top, uint64_t nsec)
{
	if (!top->has_screen) {
		sleep_until(nsec);
		return 0;
	}
	for (;;) {
		uint64_t now = nsec_now();
		uint64_t rest = nsec - MIN(now, nsec);
		int key;

		if (!rest)
			return 0;
		key = screen_wait((int)(rest / NSEC_PER_MSEC) + 1);
		if (key == KEY_QUIT || key == KEY_INTERRUPT)
			return END;
		if (key == KEY_QUEUES)
			top->by_queue = !top->by_queue;
		if ((key == KEY_QUEUES || key == -EAGAIN) && draw(top) < 0)
			return -ENOMEM;
	}
}

static int go_on(struct top *top)
{
	const struct ctl_options *options = top->ctl->options;
	uint64_t msec = options->delay_msec;
	uint64_t next = top->last.nsec;
	int error = 0;

	if (top->has_screen)
		next += MIN(msec, (uint64_t)FIRST_MSEC) * NSEC_PER_MSEC;
	else
		next += msec * NSEC_PER_MSEC;
	for (unsigned int i = 0;
	     !error && (!options->count || i < options->count); i++) {
		error = wait_until(top, next);
		if (!error)
			error = look(top);
		if (!error)
			error = top->has_screen ? draw(top) : print_batch(top);
		next = MAX(next, nsec_now()) + msec * NSEC_PER_MSEC;
	}
	return error;
}

int ctl_top(struct ctl *ctl)
{
	struct top top = { .ctl = ctl, .by_queue = ctl->options->by_queue };
	int error = look(&top);

	if (error)
		return error;
	top.has_screen = !ctl->options->batch && !ctl->options->json &&
			 screen_is_there();
	if (top.has_screen)
		error = screen_begin();
	if (!error) {
		if (top.has_screen)
			error = draw(&top);
		if (!error)
			error = go_on(&top);
		screen_end();
	}
	sample_deinit(&top.last);
	sample_deinit(&top.between);
	return MIN(error, 0);
}
