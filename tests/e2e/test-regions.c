/* SPDX-License-Identifier: MIT */
/* regions - memory regions as they may be shown, and as they may not */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"

#define PAGE 4096u
#define MIB  (UINT64_C(1) << 20)

/* A region of this memfd, at the same guest and user address. */
static struct fe_wire_region region_at(uint64_t addr, uint64_t size,
				       uint64_t offset)
{
	return (struct fe_wire_region){
		.guest_addr = addr,
		.size_bytes = size,
		.user_addr = addr + (UINT64_C(1) << 46),
		.mmap_offset = offset,
	};
}

static void make_table(struct fe_message *message,
		       const struct fe_wire_region *regions, unsigned int nr)
{
	fe_message_init(message, FE_SET_MEM_TABLE,
			(uint32_t)(8 + nr * sizeof(*regions)));
	message->payload.table.nr_regions = nr;
	memcpy(message->payload.table.regions, regions, nr * sizeof(*regions));
}

static void make_add(struct fe_message *message,
		     const struct fe_wire_region *region)
{
	fe_message_init(message, FE_ADD_MEM_REG,
			sizeof(message->payload.single));
	message->payload.single.region = *region;
}

/* Try one region in both ways. */
static void expect_region(const struct server *server, const char *what,
			  struct fe_wire_region region, int fd, int expected)
{
	struct fe_message message;

	make_table(&message, &region, 1);
	probe_expect(what, FE_SET_MEM_TABLE, probe(server, &message, &fd, 1),
		     expected);
	make_add(&message, &region);
	probe_expect(what, FE_ADD_MEM_REG, probe(server, &message, &fd, 1),
		     expected);
}

/* F-11, F-25, S-23, S-26: refused before anything is mapped */
static void impossible_regions_are_refused(void **state)
{
	const struct server *server = *state;
	const struct {
		const char *what;
		struct fe_wire_region region;
	} rows[] = {
		{ "no size", region_at(0, 0, 0) },
		{ "size 2^64 - 1", region_at(0, UINT64_MAX, 0) },
		{ "size 2^64 - 4095", region_at(0, UINT64_MAX - 4094, 0) },
		{ "size 2^63", region_at(0, UINT64_C(1) << 63, 0) },
		{ "offset 2^64 - 4096",
		  region_at(0, PAGE, UINT64_MAX - PAGE + 1) },
		{ "offset + size wraps",
		  region_at(0, 2 * MIB, UINT64_MAX - MIB + 1) },
		{ "guest address wraps",
		  region_at(UINT64_MAX - MIB + 1, 2 * MIB, 0) },
		{ "126 GiB of a small file",
		  region_at(0, 126 * 1024 * MIB, 0) },
		{ "one page too large", region_at(0, 4 * MIB + PAGE, 0) },
		{ "one page behind", region_at(0, 4 * MIB, PAGE) },
		{ "wholly behind", region_at(0, PAGE, 4 * MIB) },
	};
	struct footprint before;
	cleanup_close int fd = rh_memfd_create("test", 4 * MIB);

	assert_int_equal(client_footprint(server, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_region(server, rows[i].what, rows[i].region, fd,
			      PROBE_NAK);
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* S-23: a user address that wraps */
static void a_user_address_that_wraps_is_refused(void **state)
{
	const struct server *server = *state;
	struct fe_wire_region region = region_at(0, 2 * MIB, 0);
	cleanup_close int fd = rh_memfd_create("test", 4 * MIB);

	region.user_addr = UINT64_MAX - MIB + 1;
	expect_region(server, "user address wraps", region, fd, PROBE_NAK);
	probe_verdict();
}

/* S-23: QEMU sends odd sizes around the VGA hole; offsets inside a page */
static void odd_regions_are_mapped(void **state)
{
	const struct server *server = *state;
	cleanup_close int fd = rh_memfd_create("test", 4 * MIB);

	expect_region(server, "640 KiB", region_at(0, 0xa0000, 0), fd,
		      PROBE_OK);
	expect_region(server, "odd size", region_at(0, 12345, 0), fd, PROBE_OK);
	expect_region(server, "one page", region_at(PAGE, PAGE, PAGE), fd,
		      PROBE_OK);
	expect_region(server, "all of it", region_at(0, 4 * MIB, 0), fd,
		      PROBE_OK);
	expect_region(server, "offset inside a page",
		      region_at(512, 3 * PAGE, 512), fd, PROBE_OK);
	probe_verdict();
}

/* S-27: a region that cannot be read and written through its fd */
static void fds_that_cannot_be_mapped_are_refused(void **state)
{
	const struct server *server = *state;
	int pair[2];
	const int memfd = rh_memfd_create("test", 4 * MIB);
	char path[64];
	int fds[5];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = pair[0];
	fds[1] = rh_eventfd_create();
	fds[2] = open(path, O_RDONLY | O_CLOEXEC);
	fds[3] = open(path, O_WRONLY | O_CLOEXEC);
	fds[4] = open(server->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(fds[i] >= 0);
		expect_region(server, "not mappable", region_at(0, MIB, 0),
			      fds[i], PROBE_NAK);
		close(fds[i]);
	}
	close(pair[1]);
	close(memfd);
	probe_verdict();
}

/* S-24: overlap in guest or in user addresses, and the same region twice */
static void overlapping_regions_are_refused(void **state)
{
	const struct server *server = *state;
	cleanup_close int fd = rh_memfd_create("test", 4 * MIB);
	const int fds[] = { fd, fd };
	struct fe_wire_region rows[][2] = {
		{ region_at(0, MIB, 0), region_at(0, MIB, 0) },
		{ region_at(0, MIB, 0), region_at(MIB - PAGE, MIB, 0) },
		{ region_at(MIB, MIB, 0), region_at(0, 4 * MIB, 0) },
		{ region_at(0, 2 * MIB, 0), region_at(MIB, PAGE, 0) },
		{ region_at(0, MIB, 0), region_at(16 * MIB, MIB, 0) },
	};
	struct fe_message message;
	struct client client;

	/* the last one in user addresses only */
	rows[4][1].user_addr = rows[4][0].user_addr + PAGE;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_table(&message, rows[i], 2);
		probe_expect("overlap in SET_MEM_TABLE", i,
			     probe(server, &message, fds, 2), PROBE_NAK);
		probe_connect(&client, server);
		make_add(&message, &rows[i][0]);
		assert_int_equal(probe_message(&client, &message, fds, 1), 0);
		make_add(&message, &rows[i][1]);
		probe_expect(
			"overlap in ADD_MEM_REG", i,
			probe_finish(&client, server,
				     probe_message(&client, &message, fds, 1)),
			PROBE_NAK);
	}
	probe_verdict();
}

/* S-25: the same file behind all regions, next to each other */
static void regions_may_share_a_file_and_touch(void **state)
{
	const struct server *server = *state;
	cleanup_close int fd = rh_memfd_create("test", 8 * PAGE);
	int fds[8];
	struct fe_wire_region regions[8];
	struct fe_message message;

	for (unsigned int i = 0; i < 8; i++) {
		fds[i] = fd;
		regions[i] = region_at(i * PAGE, PAGE, i * PAGE);
	}
	make_table(&message, regions, 8);
	assert_int_equal(probe(server, &message, fds, 8), 0);
}

/* F-21, S-22: how many there are, said wrongly */
static void wrong_region_counts_are_refused(void **state)
{
	const struct server *server = *state;
	const uint32_t counts[] = { 2, 7, 8, 9, 1000, 0x80000000, 0xffffffff };
	cleanup_close int fd = rh_memfd_create("test", 8 * PAGE);
	const int fds[] = { fd, fd, fd, fd, fd, fd, fd, fd };
	struct fe_wire_region regions[8];
	struct fe_message message;
	struct client client;

	for (unsigned int i = 0; i < 8; i++)
		regions[i] = region_at(i * PAGE, PAGE, i * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		make_table(&message, regions, 1);
		message.payload.table.nr_regions = counts[i];
		probe_expect("regions announced, 1 sent", counts[i],
			     probe(server, &message, fds, 1), PROBE_NAK);
		make_table(&message, regions, 8);
		message.payload.table.nr_regions = counts[i];
		probe_expect("regions announced, 8 sent", counts[i],
			     probe(server, &message, fds, 8),
			     counts[i] == 8 ? PROBE_OK : PROBE_NAK);
	}
	for (unsigned int nr_fds = 0; nr_fds < 8; nr_fds++) {
		make_table(&message, regions, 8);
		probe_expect("fds for 8 regions", nr_fds,
			     probe(server, &message, fds, nr_fds), PROBE_NAK);
	}
	make_table(&message, regions, 1);
	message.payload.table.padding = 1;
	probe_expect("padding", 1, probe(server, &message, fds, 1), PROBE_NAK);

	/* none at all: either way, the session goes on */
	probe_connect(&client, server);
	make_table(&message, regions, 0);
	assert_int_not_equal(probe_message(&client, &message, NULL, 0),
			     PROBE_CLOSED);
	client_close(&client);
	probe_verdict();
}

/* S-29, S-21: VU mem slots: all 509 can be used, no more, and given back */
static void all_memory_slots_can_be_used(void **state)
{
	const struct server *server = *state;
	cleanup_close int fd = rh_memfd_create("test", 1024 * PAGE);
	struct fe_wire_region region;
	struct fe_message message;
	struct footprint before;
	struct client client;
	uint64_t nr_slots = 0;

	assert_int_equal(client_footprint(server, &before), 0);
	probe_connect(&client, server);
	assert_int_equal(fe_session_get(&client.session, FE_GET_MAX_MEM_SLOTS,
					&nr_slots),
			 0);
	assert_int_equal(nr_slots, 509);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < nr_slots; i++) {
			region = region_at(i * 2 * PAGE, PAGE, i * PAGE);
			make_add(&message, &region);
			assert_int_equal(fe_session_exchange(&client.session,
							     &message, &fd, 1),
					 0);
		}
		region = region_at(2000 * PAGE, PAGE, 0);
		make_add(&message, &region);
		assert_int_equal(probe_message(&client, &message, &fd, 1),
				 PROBE_NAK);
		for (unsigned int i = 0; i < nr_slots; i++) {
			region = region_at(i * 2 * PAGE, PAGE, i * PAGE);
			make_add(&message, &region);
			message.request = FE_REM_MEM_REG;
			/* VU REM_MEM_REG: an fd is allowed, and closed */
			assert_int_equal(fe_session_exchange(&client.session,
							     &message, &fd,
							     i % 2),
					 0);
		}
	}
	client_close(&client);
	assert_true(client_footprint_same(server, &before));
}

/* S-29: REM_MEM_REG of what is not there */
static void removing_an_unknown_region_is_refused(void **state)
{
	const struct server *server = *state;
	cleanup_close int fd = rh_memfd_create("test", 4 * MIB);
	struct fe_wire_region region = region_at(MIB, MIB, 0);
	const struct fe_wire_region wrong[] = {
		region_at(0, MIB, 0),
		region_at(MIB, 2 * MIB, 0),
		region_at(MIB, MIB - PAGE, 0),
		region_at(2 * MIB, MIB, 0),
	};
	struct fe_message message;
	struct client client;

	probe_connect(&client, server);
	make_add(&message, &region);
	assert_int_equal(probe_message(&client, &message, &fd, 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make_add(&message, &wrong[i]);
		message.request = FE_REM_MEM_REG;
		probe_expect("REM_MEM_REG", i,
			     probe_message(&client, &message, NULL, 0),
			     PROBE_NAK);
	}
	make_add(&message, &region);
	message.request = FE_REM_MEM_REG;
	assert_int_equal(probe_message(&client, &message, NULL, 0), PROBE_OK);
	make_add(&message, &region);
	message.request = FE_REM_MEM_REG;
	assert_int_equal(probe_message(&client, &message, NULL, 0), PROBE_NAK);
	client_close(&client);
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(impossible_regions_are_refused),
		WITH_SERVER(a_user_address_that_wraps_is_refused),
		WITH_SERVER(odd_regions_are_mapped),
		WITH_SERVER(fds_that_cannot_be_mapped_are_refused),
		WITH_SERVER(overlapping_regions_are_refused),
		WITH_SERVER(regions_may_share_a_file_and_touch),
		WITH_SERVER(wrong_region_counts_are_refused),
		WITH_SERVER(all_memory_slots_can_be_used),
		WITH_SERVER(removing_an_unknown_region_is_refused),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
