/* SPDX-License-Identifier: MIT */
/*
 * power-cut - the power fails again and again, and what was flushed is there
 *
 * D-01. The fault driver stands for a disk with a volatile write cache: it ends
 * the server at a request that is left to chance, and lets some of what was
 * not flushed get to the image, torn at sectors. The machine starts anew on
 * what is left, which the judge has looked at. RINGHOST_CUTS says how often,
 * over all cases.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/crash/crash.h"

#define USUAL_CUTS   200
#define SOAK_CUTS    20000
#define NR_CASES     8
#define DEPTH	     16
#define MOST_LOAD    150 /* requests before a cut */
#define CUT_STATUS   86	 /* docs/fault-injection.md */
#define NO_END	     (UINT64_C(1) << 60)
#define MAX_ARGUMENT 64

struct figures {
	unsigned int nr_cuts;
	uint64_t nr_ended;
	uint64_t nr_gone; /* sectors of completed writes, not flushed */
};

static struct figures total;

struct world {
	struct server server;
	struct server_options options;
	struct load load;
	struct figures figures;
	bool is_started;
	char rule[MAX_ARGUMENT];
	char seed[MAX_ARGUMENT];
	char cache[MAX_ARGUMENT];
	uint8_t disk[LOAD_DISK_BYTES];
};

/* When, and what is kept of the cache: mostly this and that. */
static void choose_cut(struct world *world)
{
	struct load *load = &world->load;
	unsigned int chance = load_random(load, 8);
	char keep[16] = "random";

	if (chance == 0)
		strcpy(keep, "none");
	else if (chance == 1)
		strcpy(keep, "all");
	else if (chance == 2)
		snprintf(keep, sizeof(keep), "%u", load_random(load, 30));
	snprintf(world->rule, sizeof(world->rule),
		 "--fault=any,nth=%u,power-cut=%s",
		 1 + load_random(load, MOST_LOAD), keep);
	snprintf(world->seed, sizeof(world->seed), "--fault-seed=%u",
		 1 + load_random(load, 1000000));
	/* the smaller one is full at times */
	snprintf(world->cache, sizeof(world->cache), "--fault-cache=%s",
		 load_random(load, 4) ? "16M" : "64k");
}

static void start(struct world *world)
{
	if (world->is_started)
		assert_int_equal(
			server_start_again(&world->server, &world->options), 0);
	else
		assert_int_equal(server_start(&world->server, &world->options),
				 0);
	world->is_started = true;
}

/* The machine runs until the power fails, and starts anew. */
static void lose_power(struct world *world)
{
	struct load *load = &world->load;

	choose_cut(world);
	start(world);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, NO_END, true), -ECONNRESET);
	assert_int_equal(server_wait(&world->server, SERVER_STOP_MSEC),
			 CUT_STATUS);
	assert_int_equal(load_note_death(load), 0);
	assert_int_equal(load_read_image(load, world->disk), 0);
	if (judge_check_medium(load->judge, world->disk))
		fail_msg("after %s %s %s", world->rule, world->seed,
			 world->cache);
	load_reboot(load, world->disk);
	load_forget_region(load);
	world->figures.nr_cuts++;
}

/* What is left works, and a server that ends by itself loses nothing. */
static void close_world(struct world *world)
{
	struct load *load = &world->load;

	world->options.options[0] = "--cache=writeback";
	world->options.options[1] = NULL;
	start(world);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, MOST_LOAD, true), 0);
	assert_int_equal(load_drain(load), 0);
	assert_int_equal(load_read_image(load, world->disk), 0);
	assert_int_equal(judge_check_disk(load->judge, world->disk), 0);
	assert_int_equal(load->nr_failed, 0);
	assert_int_equal(judge_count_all(load->judge), 0);
	world->figures.nr_ended = load->nr_ended;
	world->figures.nr_gone = judge_count_gone(load->judge);
	load_close(load);
	assert_int_equal(server_stop(&world->server), 0);
}

static void add_figures(const struct world *world)
{
	const struct load_options *options = &world->load.options;
	const struct figures *figures = &world->figures;

	printf("# %s, %s, %u queues: %u cuts, %llu requests ended, %llu "
	       "sectors were not flushed and are gone\n",
	       options->cache == JUDGE_VOLATILE ? "volatile" : "write-through",
	       options->is_packed ? "packed" : "split", options->nr_queues,
	       figures->nr_cuts, (unsigned long long)figures->nr_ended,
	       (unsigned long long)figures->nr_gone);
	total.nr_cuts += figures->nr_cuts;
	total.nr_ended += figures->nr_ended;
	total.nr_gone += figures->nr_gone;
}

static struct world *open_world(const struct load_options *options,
				const char *cache)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->options = (struct server_options){
		.image_bytes = LOAD_DISK_BYTES,
		.options = { "--driver=fault", cache, world->rule, world->seed,
			     world->cache },
	};
	assert_int_equal(load_open(&world->load, &world->server, options), 0);
	return world;
}

/*
 * Write-through has two ways: a driver that did not accept FLUSH, and a server
 * that was told so.
 */
static void lose_power_again_and_again(enum judge_cache cache, bool is_packed,
				       unsigned int nr_queues)
{
	bool refuses_flush = cache == JUDGE_WRITE_THROUGH && nr_queues == 1;
	const struct load_options options = {
		.nr_queues = nr_queues,
		.depth = DEPTH,
		.is_packed = is_packed,
		.is_indirect = true,
		.cache = cache,
		.refuses_flush = refuses_flush,
		.seed = crash_seed() + nr_queues * 4 + is_packed * 2 +
			(cache == JUDGE_WRITE_THROUGH),
	};
	unsigned int nr =
		crash_volume("RINGHOST_CUTS", USUAL_CUTS, SOAK_CUTS, NR_CASES);
	struct world *world = open_world(
		&options, cache == JUDGE_WRITE_THROUGH && !refuses_flush ?
				  "--cache=writethrough" :
				  "--cache=writeback");

	while (world->figures.nr_cuts < nr)
		lose_power(world);
	close_world(world);
	add_figures(world);
	/* a cut that takes nothing would prove nothing */
	if (cache == JUDGE_VOLATILE)
		assert_true(world->figures.nr_gone > 0);
	else
		assert_int_equal(world->figures.nr_gone, 0);
	free(world);
}

/* D-01 */
static void a_split_queue_keeps_what_was_flushed(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_VOLATILE, false, 1);
}

/* D-01 */
static void a_packed_queue_keeps_what_was_flushed(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_VOLATILE, true, 1);
}

/* D-01 */
static void four_split_queues_keep_what_was_flushed(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_VOLATILE, false, 4);
}

/* D-01 */
static void four_packed_queues_keep_what_was_flushed(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_VOLATILE, true, 4);
}

static void a_split_queue_keeps_all_it_wrote_through(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_WRITE_THROUGH, false, 1);
}

static void a_packed_queue_keeps_all_it_wrote_through(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_WRITE_THROUGH, true, 1);
}

static void four_split_queues_keep_all_they_wrote_through(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_WRITE_THROUGH, false, 4);
}

static void four_packed_queues_keep_all_they_wrote_through(void **state)
{
	(void)state;
	lose_power_again_and_again(JUDGE_WRITE_THROUGH, true, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_queue_keeps_what_was_flushed),
		cmocka_unit_test(a_packed_queue_keeps_what_was_flushed),
		cmocka_unit_test(four_split_queues_keep_what_was_flushed),
		cmocka_unit_test(four_packed_queues_keep_what_was_flushed),
		cmocka_unit_test(a_split_queue_keeps_all_it_wrote_through),
		cmocka_unit_test(a_packed_queue_keeps_all_it_wrote_through),
		cmocka_unit_test(four_split_queues_keep_all_they_wrote_through),
		cmocka_unit_test(
			four_packed_queues_keep_all_they_wrote_through),
	};
	int nr_failed;

	if (server_is_missing())
		return 0;
	crash_set_up_folder();
	nr_failed = cmocka_run_group_tests(tests, NULL, NULL);
	printf("# power-cut: %u cuts, %llu requests ended, %llu sectors not "
	       "flushed and gone, %s\n",
	       total.nr_cuts, (unsigned long long)total.nr_ended,
	       (unsigned long long)total.nr_gone,
	       nr_failed ? "with violations" : "0 violations");
	return nr_failed;
}
