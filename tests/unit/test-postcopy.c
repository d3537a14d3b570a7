/* SPDX-License-Identifier: MIT */
/* postcopy - the order of its messages, and how memory is shown meanwhile */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/postcopy-world.h"

static void pagefault_is_offered_where_userfaultfd_works(void **state)
{
	const uint64_t bit = FEATURE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT);
	struct world world;
	uint64_t offered;

	(void)state;
	world_create(&world);
	world_attach(&world);
	offered = world_get_u64(&world, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(offered & bit, userfaultfd_works() ? bit : 0);
	world_destroy(&world);
}

static void postcopy_begins_with_advise(void **state)
{
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	assert_int_equal(listen_for(&world), 1);
	close(advise(&world));
	assert_int_equal(listen_for(&world), 0);
	world_destroy(&world);
}

static void advise_and_listen_come_once(void **state)
{
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	close(advise(&world));
	assert_int_equal(
		world_ask(&world, VHOST_USER_POSTCOPY_ADVISE, NULL, 0, -1), 1);
	assert_int_equal(listen_for(&world), 0);
	assert_int_equal(listen_for(&world), 1);
	assert_int_equal(
		world_ask(&world, VHOST_USER_POSTCOPY_ADVISE, NULL, 0, -1), 1);
	world_destroy(&world);
}

static void what_has_not_begun_does_not_end(void **state)
{
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	assert_int_equal(
		world_ask(&world, VHOST_USER_POSTCOPY_END, NULL, 0, -1), 1);
	close(advise(&world));
	assert_int_equal(
		world_ask(&world, VHOST_USER_POSTCOPY_END, NULL, 0, -1), 1);
	assert_int_equal(listen_for(&world), 0);
	assert_int_equal(world_get_u64(&world, VHOST_USER_POSTCOPY_END), 0);
	assert_int_equal(
		world_ask(&world, VHOST_USER_POSTCOPY_END, NULL, 0, -1), 1);
	/* and another migration may follow */
	close(advise(&world));
	world_destroy(&world);
}

/* Its faults would be at addresses that the front-end was not told. */
static void memory_that_was_shared_before_is_not_listened_to(void **state)
{
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	world_share_memory(&world);
	close(advise(&world));
	assert_int_equal(listen_for(&world), 1);
	world_destroy(&world);
}

static void the_session_ends_from_every_phase(void **state)
{
	uint64_t address;
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	close(advise(&world));
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);

	/* the next one begins anew */
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(listen_for(&world), 1);
	close(advise(&world));
	assert_int_equal(listen_for(&world), 0);
	world_destroy(&world);

	close(create_listening(&world, &address));
	world_destroy(&world);
}

static void a_queue_waits_until_the_front_end_has_confirmed(void **state)
{
	struct world world;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	fd = advise(&world);
	assert_int_equal(listen_for(&world), 0);
	assert_int_not_equal(add_memory(&world), 0);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 0);
	assert_int_equal(confirm(&world, VHOST_USER_ADD_MEM_REG), 0);
	assert_int_equal(world.nr_started, 1);
	/* and the control thread has touched nothing */
	assert_false(has_fault(fd, 0));
	close(fd);
	world_destroy(&world);
}

static void a_ring_that_nobody_looked_at_keeps_its_position(void **state)
{
	struct vhost_user_vring_state vring = { 0, 0 };
	uint64_t address;
	struct world world;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	fd = create_listening(&world, &address);
	for (uint32_t base = 7; base < 9; base++) {
		world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring,
			   sizeof(vring), -1);
		world_run(&world);
		assert_int_equal(world_take_reply(&world,
						  VHOST_USER_GET_VRING_BASE,
						  &vring, sizeof(vring)),
				 sizeof(vring));
		assert_int_equal(vring.num, base == 7 ? 0 : 7);
		assert_int_equal(world_ask_state(&world,
						 VHOST_USER_SET_VRING_BASE, 0,
						 base),
				 0);
		assert_int_equal(world_set_kick(&world, 0), 0);
	}
	assert_int_equal(world.nr_started, 3);
	assert_false(has_fault(fd, 0));
	close(fd);
	world_destroy(&world);
}

static void a_table_is_answered_with_addresses_too(void **state)
{
	const uint32_t size = offsetof(struct vhost_user_memory, regions) +
			      sizeof(struct vhost_user_region);
	struct vhost_user_memory table = { .nr_regions = 1 };
	struct vhost_user_memory answer;
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	close(advise(&world));
	assert_int_equal(listen_for(&world), 0);
	table.regions[0] = world_whole_memory().region;
	world_tell(&world, VHOST_USER_SET_MEM_TABLE, &table, size,
		   world.memory_fd);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_SET_MEM_TABLE,
					  &answer, sizeof(answer)),
			 size);
	assert_int_equal(answer.nr_regions, 1);
	assert_int_equal(answer.regions[0].guest_addr,
			 table.regions[0].guest_addr);
	assert_int_not_equal(answer.regions[0].user_addr,
			     table.regions[0].user_addr);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 0);
	assert_int_equal(confirm(&world, VHOST_USER_SET_MEM_TABLE), 0);
	assert_int_equal(world.nr_started, 1);
	world_destroy(&world);
}

/* QEMU uses the number of the message that it sent last, or none at all. */
static void a_confirmation_comes_under_several_numbers(void **state)
{
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	create_negotiated(&world);
	assert_int_equal(confirm(&world, VHOST_USER_ADD_MEM_REG), 1);
	assert_int_equal(confirm(&world, VHOST_USER_REM_MEM_REG), 1);
	assert_int_equal(confirm(&world, VHOST_USER_NONE), 1);
	close(advise(&world));
	assert_int_equal(confirm(&world, VHOST_USER_ADD_MEM_REG), 1);
	assert_int_equal(listen_for(&world), 0);
	assert_int_equal(confirm(&world, VHOST_USER_NONE), 0);
	assert_int_equal(confirm(&world, VHOST_USER_ADD_MEM_REG), 0);
	assert_int_equal(confirm(&world, VHOST_USER_REM_MEM_REG), 0);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_ADD_MEM_REG, 1), 1);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_NONE, 1), 1);
	world_destroy(&world);
}

/* Files of most file systems cannot tell that a page is missing. */
static void memory_that_cannot_fault_is_refused(void **state)
{
	struct vhost_user_single_region single = world_whole_memory();
	FILE *file = tmpfile();
	unsigned int disconnected;
	struct world world;

	(void)state;
	NEEDS_USERFAULTFD();
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), WORLD_MEMORY_BYTES), 0);
	create_negotiated(&world);
	close(advise(&world));
	assert_int_equal(listen_for(&world), 0);
	world_tell(&world, VHOST_USER_ADD_MEM_REG, &single, sizeof(single),
		   fileno(file));
	world_run(&world);
	disconnected = world.nr_disconnected;
	assert_int_equal(world.last_error, disconnected ? -EPROTO : 0);
	rh_fd_close(&world.front_end);
	world_destroy(&world);
	fclose(file);
	/* where temporary files are on tmpfs it can, and is accepted */
	if (!disconnected)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pagefault_is_offered_where_userfaultfd_works),
		cmocka_unit_test(postcopy_begins_with_advise),
		cmocka_unit_test(advise_and_listen_come_once),
		cmocka_unit_test(what_has_not_begun_does_not_end),
		cmocka_unit_test(
			memory_that_was_shared_before_is_not_listened_to),
		cmocka_unit_test(the_session_ends_from_every_phase),
		cmocka_unit_test(
			a_queue_waits_until_the_front_end_has_confirmed),
		cmocka_unit_test(
			a_ring_that_nobody_looked_at_keeps_its_position),
		cmocka_unit_test(a_table_is_answered_with_addresses_too),
		cmocka_unit_test(a_confirmation_comes_under_several_numbers),
		cmocka_unit_test(memory_that_cannot_fault_is_refused),
	};

	return cmocka_run_group_tests_name("postcopy", tests, NULL, NULL);
}
