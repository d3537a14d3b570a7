/* SPDX-License-Identifier: MIT */
/*
 * kill - the server is killed again and again, and nothing is lost
 *
 * D-03, D-04. SIGKILL comes at random moments under load; half of all kills
 * come while the server is still busy with what its predecessors have left.
 * For most of these the fault driver draws that out: each request waits for
 * a while of its own, or all but the first ones hang. After each death the judge looks at the image, with all
 * that was under way; now and then everything ends, and it looks again.
 * RINGHOST_KILLS says how many kills there are, over all cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/crash/crash.h"

#define USUAL_KILLS 40
#define SOAK_KILLS  2000
#define NR_CASES    8
#define DEPTH	    16
#define MOST_LOAD   400 /* completions before a kill */
#define MOST_TRIES  4	/* as many kills as asked for */

struct storage {
	const char *name;
	bool forgets;
	struct server_options options;
	/* The same on the fault driver, which wants a rule */
	struct server_options spoilt;
};

static const struct storage file = {
	.name = "file",
	.options = { .image_bytes = LOAD_DISK_BYTES },
	.spoilt = { .options = { "--driver=fault" } },
};

static const struct storage null = {
	.name = "null",
	.forgets = true,
	.options = {
		.no_image = true,
		.options = { "--driver=null", "--size=512k" },
	},
	.spoilt = {
		.no_image = true,
		.options = { "--driver=fault", "--fault-driver=null",
			     "--size=512k" },
	},
};

struct figures {
	unsigned int nr_kills;
	unsigned int nr_in_recovery;
	unsigned int nr_midway; /* some of what was owed had ended, not all */
	uint64_t nr_owed;	/* requests that a server took over */
	uint64_t nr_ended;
};

static struct figures total;

struct world {
	const struct storage *storage;
	struct server server;
	struct load load;
	struct figures figures;
	uint8_t disk[LOAD_DISK_BYTES];
};

static void look_at_image(struct world *world)
{
	if (world->storage->forgets)
		return;
	assert_int_equal(load_read_image(&world->load, world->disk), 0);
	assert_int_equal(judge_check_disk(world->load.judge, world->disk), 0);
}

/* Kill it where it is, and judge what it leaves. */
static void kill_it(struct world *world)
{
	struct load *load = &world->load;

	crash_kill(&world->server);
	assert_int_equal(load_note_death(load), 0);
	world->figures.nr_kills++;
	world->figures.nr_owed += load->nr_owed;
	look_at_image(world);
}

/*
 * The next server: with the other engine at times, or with two threads. rule:
 * of the fault driver, or NULL for a server that works
 */
static void restart(struct world *world, const char *rule)
{
	static const char *const ways[] = { NULL, NULL, "--aio=threads",
					    "--threads=2" };
	struct server_options options =
		rule ? world->storage->spoilt : world->storage->options;
	unsigned int nr = 0;

	while (options.options[nr])
		nr++;
	if (rule)
		options.options[nr++] = rule;
	options.options[nr] = ways[load_random(&world->load, ARRAY_SIZE(ways))];
	assert_int_equal(server_kill_and_restart(&world->server, &options), 0);
}

/* The server ends so many of what it owes at its own speed, then it dies. */
static void recover_some(struct world *world, const char *rule)
{
	struct load *load = &world->load;
	unsigned int nr_left = 1 + load_random(load, load->nr_owed);

	restart(world, rule);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_run_recovery(load, nr_left, load_random(load, 2)),
			 0);
}

/* A server that carries out so many requests, and hangs with all others. */
static void restart_for(struct world *world, unsigned int nr)
{
	char rule[64] = "--fault=any,hang";

	if (nr)
		snprintf(rule, sizeof(rule), "--fault=any,after=%u,hang", nr);
	restart(world, rule);
}

/* It ends exactly so many. */
static void recover_few(struct world *world)
{
	struct load *load = &world->load;
	unsigned int nr_few = load_random(load, load->nr_owed);

	restart_for(world, nr_few);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_run_recovery(load, load->nr_owed - nr_few, false),
			 0);
}

/* It has not got all of its queues. */
static void recover_in_part(struct world *world)
{
	struct load *load = &world->load;

	restart(world, "--fault=any,delay=0us-10ms");
	assert_int_equal(
		load_connect(load,
			     1 + load_random(load, load->options.nr_queues)),
		0);
}

/*
 * Its predecessor has left something: kill it before all of that is done, as
 * far as that can be met.
 */
static void kill_in_recovery(struct world *world)
{
	struct figures *figures = &world->figures;
	struct load *load = &world->load;
	unsigned int nr_owed = load->nr_owed;
	unsigned int way = load_random(load, 6);

	if (way < 3 || figures->nr_in_recovery * 2 + 1 < figures->nr_kills)
		recover_few(world);
	else if (way == 3)
		recover_some(world, "--fault=any,delay=0us-10ms");
	else if (way == 4)
		recover_some(world, NULL);
	else
		recover_in_part(world);
	kill_it(world);
	if (!load->nr_still_owed)
		return;
	figures->nr_in_recovery++;
	figures->nr_midway += load->nr_still_owed < nr_owed;
}

static void kill_under_load(struct world *world)
{
	struct load *load = &world->load;

	restart(world, NULL);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_run_recovery(load, 0, load_random(load, 2)), 0);
	if (load_random(load, 4) == 0) {
		assert_int_equal(load_drain(load), 0);
		look_at_image(world);
	}
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, load_random(load, MOST_LOAD), true), 0);
	kill_it(world);
}

/* Nothing was left: see to it that the next one has something to recover. */
static void kill_with_all_under_way(struct world *world)
{
	struct load *load = &world->load;
	unsigned int nr = load_random(load, MOST_LOAD);

	restart_for(world, nr);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, nr, true), 0);
	kill_it(world);
}

static void open_world(struct world *world, const struct storage *storage,
		       const struct load_options *options)
{
	world->storage = storage;
	assert_int_equal(server_start(&world->server, &storage->options), 0);
	assert_int_equal(load_open(&world->load, &world->server, options), 0);
}

static void close_world(struct world *world)
{
	struct load *load = &world->load;

	restart(world, NULL);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_drain(load), 0);
	look_at_image(world);
	assert_int_equal(load->nr_failed, 0);
	assert_int_equal(judge_count_all(load->judge), 0);
	world->figures.nr_ended = load->nr_ended;
	load_close(load);
	assert_int_equal(server_stop(&world->server), 0);
}

static void add_figures(const struct world *world, const char *name)
{
	const struct figures *figures = &world->figures;

	printf("# %s: %u kills, %u in recovery (%u midway), "
	       "%llu requests taken over, %llu ended\n",
	       name, figures->nr_kills, figures->nr_in_recovery,
	       figures->nr_midway, (unsigned long long)figures->nr_owed,
	       (unsigned long long)figures->nr_ended);
	total.nr_kills += figures->nr_kills;
	total.nr_in_recovery += figures->nr_in_recovery;
	total.nr_midway += figures->nr_midway;
	total.nr_owed += figures->nr_owed;
	total.nr_ended += figures->nr_ended;
}

static void kill_again_and_again(const struct storage *storage, bool is_packed,
				 unsigned int nr_queues)
{
	const struct load_options options = {
		.nr_queues = nr_queues,
		.depth = DEPTH,
		.is_packed = is_packed,
		.is_indirect = true,
		.forgets = storage->forgets,
		.seed = crash_seed() + nr_queues * 2 + is_packed,
	};
	unsigned int nr = crash_volume("RINGHOST_KILLS", USUAL_KILLS,
				       SOAK_KILLS, NR_CASES);
	struct world *world = calloc(1, sizeof(*world));
	struct figures *figures = &world->figures;
	char name[64];

	assert_non_null(world);
	open_world(world, storage, &options);
	/* a kill that came too late for the recovery calls for another */
	while ((figures->nr_kills < nr ||
		figures->nr_in_recovery * 2 < figures->nr_kills) &&
	       figures->nr_kills < nr * MOST_TRIES) {
		bool is_behind =
			figures->nr_in_recovery * 2 <= figures->nr_kills;

		if (is_behind && world->load.nr_owed)
			kill_in_recovery(world);
		else if (is_behind && figures->nr_kills)
			kill_with_all_under_way(world);
		else
			kill_under_load(world);
	}
	close_world(world);
	snprintf(name, sizeof(name), "%s, %s, %u queues", storage->name,
		 is_packed ? "packed" : "split", nr_queues);
	add_figures(world, name);
	assert_true(figures->nr_in_recovery * 2 >= figures->nr_kills);
	free(world);
}

/* D-04 */
static void a_split_queue_on_a_file_survives_kills(void **state)
{
	(void)state;
	kill_again_and_again(&file, false, 1);
}

/* D-04 */
static void a_packed_queue_on_a_file_survives_kills(void **state)
{
	(void)state;
	kill_again_and_again(&file, true, 1);
}

/* D-04 */
static void four_split_queues_on_a_file_survive_kills(void **state)
{
	(void)state;
	kill_again_and_again(&file, false, 4);
}

/* D-04 */
static void four_packed_queues_on_a_file_survive_kills(void **state)
{
	(void)state;
	kill_again_and_again(&file, true, 4);
}

static void a_split_queue_on_null_loses_no_request(void **state)
{
	(void)state;
	kill_again_and_again(&null, false, 1);
}

static void a_packed_queue_on_null_loses_no_request(void **state)
{
	(void)state;
	kill_again_and_again(&null, true, 1);
}

static void four_split_queues_on_null_lose_no_request(void **state)
{
	(void)state;
	kill_again_and_again(&null, false, 4);
}

static void four_packed_queues_on_null_lose_no_request(void **state)
{
	(void)state;
	kill_again_and_again(&null, true, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_queue_on_a_file_survives_kills),
		cmocka_unit_test(a_packed_queue_on_a_file_survives_kills),
		cmocka_unit_test(four_split_queues_on_a_file_survive_kills),
		cmocka_unit_test(four_packed_queues_on_a_file_survive_kills),
		cmocka_unit_test(a_split_queue_on_null_loses_no_request),
		cmocka_unit_test(a_packed_queue_on_null_loses_no_request),
		cmocka_unit_test(four_split_queues_on_null_lose_no_request),
		cmocka_unit_test(four_packed_queues_on_null_lose_no_request),
	};
	int nr_failed;

	if (server_is_missing())
		return 0;
	crash_set_up_folder();
	nr_failed = cmocka_run_group_tests(tests, NULL, NULL);
	printf("# kill: %u kills, %u in recovery (%u midway), "
	       "%llu requests taken over, %llu ended, %s\n",
	       total.nr_kills, total.nr_in_recovery, total.nr_midway,
	       (unsigned long long)total.nr_owed,
	       (unsigned long long)total.nr_ended,
	       nr_failed ? "with violations" : "0 violations");
	return nr_failed;
}
