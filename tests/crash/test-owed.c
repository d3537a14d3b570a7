/* SPDX-License-Identifier: MIT */
/*
 * owed - which requests a server owes that died at a known point
 *
 * D-03. So many requests are completed, and no other: the rest hangs in the
 * fault driver, taken and recorded. Then the server is killed. Its successor
 * completes so many of what it owes and is killed as well; a third one ends
 * the rest. Each request must complete once, and none be executed after that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/crash/crash.h"

#define DEPTH	     16
#define MAX_ARGUMENT 64

struct world {
	struct server server;
	struct load load;
	uint8_t disk[LOAD_DISK_BYTES];
};

/* A server that completes nr requests and no more. */
static void start_server(struct world *world, unsigned int nr, bool is_first)
{
	char rule[MAX_ARGUMENT] = "--fault=any,hang";
	const struct server_options options = {
		.image_bytes = LOAD_DISK_BYTES,
		.options = { "--driver=fault", rule },
	};

	if (nr)
		snprintf(rule, sizeof(rule), "--fault=any,after=%u,hang", nr);
	assert_int_equal(is_first ? server_start(&world->server, &options) :
				    server_kill_and_restart(&world->server,
							    &options),
			 0);
}

static void look_at_image(struct world *world)
{
	struct load *load = &world->load;

	assert_int_equal(load_read_image(load, world->disk), 0);
	assert_int_equal(judge_check_disk(load->judge, world->disk), 0);
}

/* Wait for what the server does complete, and kill it: no other has ended. */
static void kill_after(struct world *world, unsigned int nr, bool goes_on)
{
	struct load *load = &world->load;
	uint64_t end = load->nr_ended + nr;

	assert_int_equal(load_run(load, nr, goes_on), 0);
	crash_kill(&world->server);
	assert_int_equal(load_note_death(load), 0);
	assert_int_equal(load->nr_ended, end);
	look_at_image(world);
}

static void owe(struct world *world, unsigned int nr_first,
		unsigned int nr_second)
{
	const struct server_options plain = { 0 };
	struct load *load = &world->load;

	start_server(world, nr_first, true);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_fill(load), 0);
	/* behind a whole batch, the next one is under way */
	kill_after(world, nr_first, nr_first == DEPTH);
	start_server(world, nr_second, false);
	assert_int_equal(load_connect(load, 0), 0);
	kill_after(world, nr_second, false);
	assert_int_equal(server_kill_and_restart(&world->server, &plain), 0);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_drain(load), 0);
	look_at_image(world);
	assert_int_equal(load->nr_ended, nr_first == DEPTH ? 2 * DEPTH : DEPTH);
	assert_int_equal(load->nr_failed, 0);
	/* and the ring goes on from there */
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, 4 * DEPTH, true), 0);
	assert_int_equal(load_drain(load), 0);
	look_at_image(world);
	assert_int_equal(judge_count_all(load->judge), 0);
}

static void owe_at_all_points(bool is_packed, bool is_indirect)
{
	static const struct {
		unsigned int nr_first;
		unsigned int nr_second;
	} points[] = {
		{ 0, 0 },	  { 0, 1 },	    { 1, 0 },
		{ DEPTH / 2, 3 }, { DEPTH - 1, 1 }, { DEPTH, 0 },
		{ DEPTH, DEPTH },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(points); i++) {
		const struct load_options options = {
			.nr_queues = 1,
			.depth = DEPTH,
			.is_packed = is_packed,
			.is_indirect = is_indirect,
			.seed = crash_seed() + i,
		};
		struct world *world = calloc(1, sizeof(*world));

		assert_non_null(world);
		assert_int_equal(
			load_open(&world->load, &world->server, &options), 0);
		owe(world, points[i].nr_first, points[i].nr_second);
		load_close(&world->load);
		assert_int_equal(server_stop(&world->server), 0);
		free(world);
	}
}

/* D-03 */
static void a_split_queue_is_owed_what_did_not_complete(void **state)
{
	(void)state;
	owe_at_all_points(false, false);
}

static void a_split_queue_of_tables_is_owed_what_did_not_complete(void **state)
{
	(void)state;
	owe_at_all_points(false, true);
}

/* D-03 */
static void a_packed_queue_is_owed_what_did_not_complete(void **state)
{
	(void)state;
	owe_at_all_points(true, false);
}

static void a_packed_queue_of_tables_is_owed_what_did_not_complete(void **state)
{
	(void)state;
	owe_at_all_points(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_queue_is_owed_what_did_not_complete),
		cmocka_unit_test(
			a_split_queue_of_tables_is_owed_what_did_not_complete),
		cmocka_unit_test(a_packed_queue_is_owed_what_did_not_complete),
		cmocka_unit_test(
			a_packed_queue_of_tables_is_owed_what_did_not_complete),
	};

	if (server_is_missing())
		return 0;
	crash_set_up_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
