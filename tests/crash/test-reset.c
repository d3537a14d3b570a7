/* SPDX-License-Identifier: MIT */
/*
 * reset - a machine that starts anew never sees what was under way before
 *
 * D-05. A server dies with writes under way. Before its successor has carried
 * them out, the machine is reset and writes new data to the same places. The
 * old writes were promised to nobody any more, and must not come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/crash/crash.h"

#define DEPTH	 32
#define NR_ENDED 8 /* before the death */
#define LOAD	 400

/* Completes NR_ENDED requests, keeps the others. */
static const struct server_options hangs = {
	.image_bytes = LOAD_DISK_BYTES,
	.options = { "--driver=fault", "--fault=any,after=8,hang" },
};

static const struct server_options plain = { 0 };

/* What it takes over is carried out a little at a time. */
static const struct server_options slow = {
	.options = { "--driver=fault", "--fault=any,delay=0us-20ms" },
};

struct world {
	struct server server;
	struct load load;
	uint8_t disk[LOAD_DISK_BYTES];
};

static void look_at_image(struct world *world)
{
	struct load *load = &world->load;

	assert_int_equal(load_read_image(load, world->disk), 0);
	assert_int_equal(judge_check_disk(load->judge, world->disk), 0);
}

/* A server has died with DEPTH requests under way, and this one follows. */
static struct world *open_world(bool is_packed,
				const struct server_options *options)
{
	const struct load_options load_options = {
		.nr_queues = 1,
		.depth = DEPTH,
		.is_packed = is_packed,
		.is_indirect = true,
		.seed = crash_seed() + is_packed,
	};
	struct world *world = calloc(1, sizeof(*world));
	struct load *load = &world->load;

	assert_non_null(world);
	assert_int_equal(server_start(&world->server, &hangs), 0);
	assert_int_equal(load_open(load, &world->server, &load_options), 0);
	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, NR_ENDED, true), 0);
	crash_kill(&world->server);
	assert_int_equal(load_note_death(load), 0);
	assert_int_equal(load->nr_owed, DEPTH);
	look_at_image(world);
	assert_int_equal(server_kill_and_restart(&world->server, options), 0);
	return world;
}

/* The new machine writes where the old one did, and sees only that. */
static void use_new_machine(struct world *world)
{
	struct load *load = &world->load;

	assert_int_equal(load_fill(load), 0);
	assert_int_equal(load_run(load, LOAD, true), 0);
	assert_int_equal(load_drain(load), 0);
	look_at_image(world);
	assert_int_equal(load->nr_failed, 0);
}

/* Whatever the server still had to do, it has done when it has ended. */
static void close_world(struct world *world)
{
	struct load *load = &world->load;

	fe_session_deinit(&load->client.session);
	assert_int_equal(server_end(&world->server), 0);
	look_at_image(world);
	assert_int_equal(judge_count_all(load->judge), 0);
	server_clean_up(&world->server);
	load_close(load);
	free(world);
}

/* The disk as it is now is what the new machine starts with. */
static void reboot(struct world *world, bool keeps_region)
{
	struct load *load = &world->load;

	assert_int_equal(load_read_image(load, world->disk), 0);
	load_reboot(load, world->disk);
	if (!keeps_region)
		load_forget_region(load);
}

static void reset_device(struct world *world)
{
	struct fe_session *session = &world->load.client.session;

	assert_true(session->protocol & FE_PROTOCOL_RESET_DEVICE);
	assert_int_equal(fe_session_command(session, FE_RESET_DEVICE), 0);
}

/*
 * The machine is reset while there is no server. A front-end forgets the region
 * then; one that does not shows it again with rings that are empty.
 */
static void reset_without_a_server(bool is_packed, bool keeps_region)
{
	struct world *world = open_world(is_packed, &plain);

	reboot(world, keeps_region);
	assert_int_equal(load_connect(&world->load, 0), 0);
	use_new_machine(world);
	close_world(world);
}

/* The region was shown and the rings were not, when the machine was reset. */
static void reset_before_the_rings(bool is_packed, bool keeps_region)
{
	struct world *world = open_world(is_packed, &slow);
	struct load *load = &world->load;

	assert_int_equal(load_negotiate(load), 0);
	assert_int_equal(load_show_region(load), 0);
	reset_device(world);
	reboot(world, keeps_region);
	assert_int_equal(load_show_region(load), 0);
	assert_int_equal(load_start(load, 0), 0);
	use_new_machine(world);
	close_world(world);
}

/* It was reset while the successor was at it: that ends before the answer. */
static void reset_in_recovery(bool is_packed, bool keeps_region)
{
	struct world *world = open_world(is_packed, &slow);
	struct load *load = &world->load;

	assert_int_equal(load_connect(load, 0), 0);
	assert_int_equal(load_run_recovery(load, DEPTH / 2, false), 0);
	reset_device(world);
	reboot(world, keeps_region);
	assert_int_equal(load_show_region(load), 0);
	assert_int_equal(load_start(load, 0), 0);
	use_new_machine(world);
	close_world(world);
}

/* D-05 */
static void no_old_write_after_a_reset_without_a_server(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		reset_without_a_server(i & 1, i & 2);
}

/* D-05 */
static void no_old_write_after_a_reset_before_the_rings(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		reset_before_the_rings(i & 1, i & 2);
}

/* D-05 */
static void no_old_write_after_a_reset_in_recovery(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		reset_in_recovery(i & 1, i & 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_old_write_after_a_reset_without_a_server),
		cmocka_unit_test(no_old_write_after_a_reset_before_the_rings),
		cmocka_unit_test(no_old_write_after_a_reset_in_recovery),
	};

	if (server_is_missing())
		return 0;
	crash_set_up_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
