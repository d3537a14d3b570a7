/* SPDX-License-Identifier: MIT */
/*
 * judge - allows what may be, and finds what must not be
 *
 * A disk in memory on which the test executes requests as it likes. Each
 * planted violation is one that a back-end could commit; next to it stands
 * what is like it and allowed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/crash/judge.h"
#include "tests/crash/stamp.h"

#define SECTORS 8

struct world {
	struct judge *judge;
	uint8_t disk[SECTORS * STAMP_BYTES];
};

static void open_world(struct world *world, enum judge_cache cache)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(judge_create(SECTORS, cache, &world->judge), 0);
	judge_be_quiet(world->judge);
}

static void close_world(struct world *world)
{
	judge_destroy(world->judge);
}

static uint8_t *at(struct world *world, uint64_t sector)
{
	return world->disk + sector * STAMP_BYTES;
}

static uint64_t begin(struct world *world, uint64_t sector, uint32_t nr)
{
	return judge_begin(world->judge, JUDGE_WRITE, sector, nr);
}

static void end(struct world *world, uint64_t sequence)
{
	judge_end(world->judge, sequence, 0);
}

/* What the device does for a write. */
static void put(struct world *world, uint64_t sequence, uint64_t sector,
		uint32_t nr)
{
	const struct stamp stamp = { .sequence = sequence, .sector = sector };

	stamp_write_run(&stamp, at(world, sector), nr);
}

static uint64_t write_all(struct world *world, uint64_t sector, uint32_t nr)
{
	uint64_t sequence = begin(world, sector, nr);

	put(world, sequence, sector, nr);
	end(world, sequence);
	return sequence;
}

static void flush(struct world *world)
{
	end(world, judge_begin(world->judge, JUDGE_FLUSH, 0, 0));
}

static void expect_disk(struct world *world, unsigned int nr_wrong)
{
	assert_int_equal(judge_check_disk(world->judge, world->disk), nr_wrong);
}

static void expect_medium(struct world *world, unsigned int nr_wrong)
{
	assert_int_equal(judge_check_medium(world->judge, world->disk),
			 nr_wrong);
}

/* These and no others. */
static void expect(struct world *world, enum judge_violation kind, uint64_t nr)
{
	assert_int_equal(judge_count(world->judge, kind), nr);
	assert_int_equal(judge_count_all(world->judge), nr);
}

static void a_new_disk_holds_zeroes(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	expect_disk(&world, 0);
	put(&world, 1, 3, 1);
	expect_disk(&world, 1);
	expect(&world, JUDGE_ALIEN, 1);
	close_world(&world);
}

static void a_write_that_ended_is_on_the_disk(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write_all(&world, 2, 4);
	expect_disk(&world, 0);
	memset(at(&world, 4), 0, STAMP_BYTES);
	expect_disk(&world, 1);
	expect(&world, JUDGE_OLD_RETURNED, 1); /* it had been seen there */
	close_world(&world);
}

static void an_acknowledged_write_that_is_lost_is_found(void **state)
{
	struct world world;
	uint64_t first;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	first = write_all(&world, 2, 1);
	end(&world, begin(&world, 2, 1)); /* never executed */
	assert_int_equal(first, 1);
	expect_disk(&world, 1);
	expect(&world, JUDGE_LOST_WRITE, 1);
	close_world(&world);
}

static void a_write_under_way_is_there_or_not_sector_by_sector(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write_all(&world, 0, 3);
	sequence = begin(&world, 0, 3);
	expect_disk(&world, 0);
	put(&world, sequence, 1, 1);
	expect_disk(&world, 0);
	put(&world, sequence, 0, 3);
	expect_disk(&world, 0);
	close_world(&world);
}

/* Each of the two may be the last one, for each sector. */
static void simultaneous_writes_end_in_any_order(void **state)
{
	struct world world;
	uint64_t one;
	uint64_t other;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	one = begin(&world, 0, 2);
	other = begin(&world, 0, 2);
	end(&world, one);
	end(&world, other);
	put(&world, one, 0, 1);
	put(&world, other, 1, 1);
	expect_disk(&world, 0);
	put(&world, other, 0, 1);
	put(&world, one, 1, 1);
	expect_disk(&world, 0);
	write_all(&world, 0, 1);
	put(&world, other, 0, 1);
	expect_disk(&world, 1);
	close_world(&world);
}

/* Resubmitted though it was done: the buffer still holds what it held. */
static void a_stale_resubmission_after_completion_is_found(void **state)
{
	struct world world;
	uint64_t first;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	first = write_all(&world, 5, 1);
	write_all(&world, 5, 1);
	expect_disk(&world, 0);
	put(&world, first, 5, 1);
	expect_disk(&world, 1);
	expect(&world, JUDGE_OLD_RETURNED, 1);
	close_world(&world);
}

/* The same, of a driver that has stamped the buffer as spent. */
static void a_request_executed_after_completion_is_found(void **state)
{
	struct world world;
	struct stamp spent = { .sector = 5, .is_spent = true };

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	spent.sequence = write_all(&world, 5, 1);
	stamp_write(&spent, at(&world, 5));
	expect_disk(&world, 1);
	expect(&world, JUDGE_SPENT, 1);
	close_world(&world);
}

static void a_second_completion_is_found(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	sequence = write_all(&world, 5, 1);
	end(&world, sequence);
	expect(&world, JUDGE_NOT_UNDER_WAY, 1);
	close_world(&world);
}

static void a_completion_of_nothing_is_found(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	end(&world, 17);
	expect(&world, JUDGE_NOT_UNDER_WAY, 1);
	close_world(&world);
}

static void a_request_that_never_ends_is_found(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	sequence = begin(&world, 0, 1);
	end(&world, begin(&world, 1, 1));
	judge_check_idle(world.judge);
	expect(&world, JUDGE_LOST_REQUEST, 1);
	end(&world, sequence);
	judge_check_idle(world.judge);
	expect(&world, JUDGE_LOST_REQUEST, 1);
	close_world(&world);
}

/* Also of a write that may be there in part: whole sectors of it. */
static void a_sector_of_two_writes_is_found(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write_all(&world, 0, 1);
	sequence = begin(&world, 0, 1);
	/* the first word is that of any stamp */
	for (unsigned int i = 16; i < STAMP_BYTES; i += 8) {
		uint8_t old[STAMP_BYTES];

		memcpy(old, at(&world, 0), STAMP_BYTES);
		put(&world, sequence, 0, 1);
		memcpy(at(&world, 0) + i, old + i, STAMP_BYTES - i);
		expect_disk(&world, 1);
		memcpy(at(&world, 0), old, STAMP_BYTES);
	}
	expect(&world, JUDGE_TORN, STAMP_BYTES / 8 - 2);
	close_world(&world);
}

static void data_of_another_sector_is_found(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write_all(&world, 0, 2);
	memcpy(at(&world, 1), at(&world, 0), STAMP_BYTES);
	expect_disk(&world, 1);
	expect(&world, JUDGE_ALIEN, 1);
	close_world(&world);
}

static void what_failed_is_there_or_not_and_replaces_nothing(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_WRITE_THROUGH);
	write_all(&world, 0, 1);
	sequence = begin(&world, 0, 1);
	judge_end(world.judge, sequence, -EIO);
	expect_disk(&world, 0);
	put(&world, sequence, 0, 1);
	expect_disk(&world, 0);
	close_world(&world);
}

static void zeroes_that_were_written_are_a_version(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write_all(&world, 0, 2);
	sequence = judge_begin(world.judge, JUDGE_WRITE_ZEROES, 0, 1);
	expect_disk(&world, 0);
	end(&world, sequence);
	expect_disk(&world, 1);
	memset(at(&world, 0), 0, STAMP_BYTES);
	expect_disk(&world, 0);
	expect(&world, JUDGE_LOST_WRITE, 1);
	close_world(&world);
}

static void what_was_discarded_is_there_or_not(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, JUDGE_WRITE_THROUGH);
	write_all(&world, 0, 2);
	end(&world, judge_begin(world.judge, JUDGE_DISCARD, 0, 2));
	expect_disk(&world, 0);
	memset(at(&world, 0), 0, STAMP_BYTES);
	expect_disk(&world, 0);
	write_all(&world, 0, 2);
	memset(at(&world, 0), 0, STAMP_BYTES);
	expect_disk(&world, 1);
	close_world(&world);
}

static uint64_t begin_read(struct world *world, uint64_t sector, uint32_t nr)
{
	return judge_begin(world->judge, JUDGE_READ, sector, nr);
}

static void a_read_sees_no_version_replaced_before_it_began(void **state)
{
	uint8_t old[STAMP_BYTES];
	struct world world;
	uint64_t early;
	uint64_t late;

	(void)state;
	open_world(&world, JUDGE_WRITE_THROUGH);
	write_all(&world, 0, 1);
	memcpy(old, at(&world, 0), STAMP_BYTES);
	early = begin_read(&world, 0, 1);
	write_all(&world, 0, 1);
	write_all(&world, 0, 1);
	late = begin_read(&world, 0, 1);
	judge_check_read(world.judge, early, old);
	judge_check_read(world.judge, early, world.disk);
	judge_check_read(world.judge, late, world.disk);
	expect(&world, JUDGE_LOST_WRITE, 0);
	judge_check_read(world.judge, late, old);
	expect(&world, JUDGE_OLD_RETURNED, 1);
	close_world(&world);
}

static void power_takes_what_was_not_flushed_sector_by_sector(void **state)
{
	struct world world;
	uint64_t first;
	uint64_t second;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	first = write_all(&world, 0, 3);
	flush(&world);
	second = write_all(&world, 0, 3);
	expect_medium(&world, 0);
	put(&world, first, 1, 1);
	expect_medium(&world, 0);
	assert_int_equal(judge_count_gone(world.judge), 1);
	put(&world, first, 0, 3);
	expect_medium(&world, 0);
	assert_int_equal(judge_count_gone(world.judge), 4);
	expect_disk(&world, 3);
	put(&world, second, 0, 3);
	expect_disk(&world, 0);
	close_world(&world);
}

static void a_flushed_write_that_power_takes_is_found(void **state)
{
	struct world world;
	uint64_t first;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	first = write_all(&world, 0, 1);
	write_all(&world, 0, 1);
	put(&world, first, 0, 1);
	expect_medium(&world, 0);
	flush(&world);
	expect_medium(&world, 1);
	expect(&world, JUDGE_LOST_WRITE, 1);
	memset(at(&world, 0), 0, STAMP_BYTES);
	expect_medium(&world, 1);
	/* of which the judge has seen something on the medium */
	assert_int_equal(judge_count(world.judge, JUDGE_OLD_RETURNED), 1);
	close_world(&world);
}

/* A flush is for the writes that had ended when it began. */
static void a_flush_makes_durable_what_ended_before_it(void **state)
{
	struct world world;
	uint64_t failed;
	uint64_t began;
	uint64_t write;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	write = begin(&world, 0, 1);
	began = judge_begin(world.judge, JUDGE_FLUSH, 0, 0);
	end(&world, write);
	end(&world, began);
	expect_medium(&world, 0);
	failed = judge_begin(world.judge, JUDGE_FLUSH, 0, 0);
	judge_end(world.judge, failed, -EIO);
	expect_medium(&world, 0);
	flush(&world);
	expect_medium(&world, 1);
	close_world(&world);
}

static void write_through_is_durable_at_its_end(void **state)
{
	struct world world;
	uint64_t sequence;

	(void)state;
	open_world(&world, JUDGE_WRITE_THROUGH);
	sequence = begin(&world, 0, 1);
	expect_medium(&world, 0);
	end(&world, sequence);
	expect_medium(&world, 1);
	expect(&world, JUDGE_LOST_WRITE, 1);
	close_world(&world);
}

/* D-05: what was under way, or replaced, when the machine died */
static void what_a_restart_left_behind_must_not_come_back(void **state)
{
	struct world world;
	uint64_t dead;
	uint64_t kept;

	(void)state;
	open_world(&world, JUDGE_VOLATILE);
	kept = write_all(&world, 0, 1);
	dead = begin(&world, 0, 1);
	judge_restart(world.judge, world.disk);
	expect_disk(&world, 0);
	expect_medium(&world, 0);
	put(&world, dead, 0, 1);
	expect_disk(&world, 1);
	expect(&world, JUDGE_LOST_WRITE, 1);
	put(&world, kept, 0, 1);
	judge_end(world.judge, dead, 0);
	assert_int_equal(judge_count(world.judge, JUDGE_NOT_UNDER_WAY), 1);
	write_all(&world, 0, 1);
	put(&world, kept, 0, 1);
	expect_disk(&world, 1);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_disk_holds_zeroes),
		cmocka_unit_test(a_write_that_ended_is_on_the_disk),
		cmocka_unit_test(an_acknowledged_write_that_is_lost_is_found),
		cmocka_unit_test(
			a_write_under_way_is_there_or_not_sector_by_sector),
		cmocka_unit_test(simultaneous_writes_end_in_any_order),
		cmocka_unit_test(
			a_stale_resubmission_after_completion_is_found),
		cmocka_unit_test(a_request_executed_after_completion_is_found),
		cmocka_unit_test(a_second_completion_is_found),
		cmocka_unit_test(a_completion_of_nothing_is_found),
		cmocka_unit_test(a_request_that_never_ends_is_found),
		cmocka_unit_test(a_sector_of_two_writes_is_found),
		cmocka_unit_test(data_of_another_sector_is_found),
		cmocka_unit_test(
			what_failed_is_there_or_not_and_replaces_nothing),
		cmocka_unit_test(zeroes_that_were_written_are_a_version),
		cmocka_unit_test(what_was_discarded_is_there_or_not),
		cmocka_unit_test(
			a_read_sees_no_version_replaced_before_it_began),
		cmocka_unit_test(
			power_takes_what_was_not_flushed_sector_by_sector),
		cmocka_unit_test(a_flushed_write_that_power_takes_is_found),
		cmocka_unit_test(a_flush_makes_durable_what_ended_before_it),
		cmocka_unit_test(write_through_is_durable_at_its_end),
		cmocka_unit_test(what_a_restart_left_behind_must_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
