/* SPDX-License-Identifier: MIT */
/* memory - which regions are mapped and refused, what an address resolves to */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/fd.h"
#include "lib/memory.h"
#include "tests/unit/dumped.h"

#define MIB   UINT64_C(0x100000)

#define GUEST UINT64_C(0x100000000)
#define USER  UINT64_C(0x7f0000000000)

static int memfd_of(uint64_t bytes)
{
	int fd = rh_memfd_create("test", bytes);

	assert_true(fd >= 0);
	return fd;
}

static struct vhost_user_region region_at(uint64_t guest, uint64_t bytes)
{
	return (struct vhost_user_region){
		.guest_addr = guest,
		.size_bytes = bytes,
		.user_addr = USER + guest,
	};
}

/* Adds to *map and expects success. */
static void add(struct rh_map **map, const struct vhost_user_region *region,
		int fd)
{
	struct rh_map *next;

	assert_int_equal(rh_map_add(*map, region, fd, &next), 0);
	rh_map_put(*map);
	*map = next;
}

static struct rh_map *map_of(const struct vhost_user_region *region, int fd)
{
	struct rh_map *map;

	assert_int_equal(rh_map_create(&map), 0);
	add(&map, region, fd);
	return map;
}

static void expect_refused(struct rh_map *map, struct vhost_user_region region,
			   int fd, int error)
{
	struct rh_map *untouched = map;
	struct rh_map *next = untouched;

	assert_int_equal(rh_map_add(map, &region, fd, &next), error);
	assert_ptr_equal(next, untouched);
}

static uint8_t *guest_at(const struct rh_map *map, uint64_t addr,
			 uint64_t bytes, uint64_t *contiguous)
{
	return rh_map_guest(map, (struct guest_addr){ addr }, bytes,
			    contiguous);
}

static void an_empty_map_resolves_nothing(void **state)
{
	struct rh_map *map;
	uint64_t contiguous;

	(void)state;
	assert_int_equal(rh_map_create(&map), 0);
	assert_null(guest_at(map, 0, 1, &contiguous));
	assert_null(rh_map_frontend(map, (struct frontend_addr){ 0 }, 1));
	rh_map_put(map);
	rh_map_put(NULL);
}

static void an_address_resolves_to_the_byte_of_the_file(void **state)
{
	struct vhost_user_region region = region_at(GUEST, MIB);
	int fd = memfd_of(2 * MIB);
	struct rh_map *map;
	uint64_t contiguous;
	uint8_t byte = 0x5a;
	uint8_t *host;

	(void)state;
	region.mmap_offset = 4096;
	map = map_of(&region, fd);
	assert_int_equal(pwrite(fd, &byte, 1, 4096 + 77), 1);
	host = guest_at(map, GUEST + 77, 10, &contiguous);
	assert_non_null(host);
	assert_int_equal(*host, 0x5a);
	assert_int_equal(contiguous, 10);
	assert_ptr_equal(
		rh_map_frontend(
			map, (struct frontend_addr){ USER + GUEST + 77 }, 10),
		host);
	rh_map_put(map);
	close(fd);
}

/* QEMU's regions around the VGA hole; hostile rows of SET_MEM_TABLE */
static void an_odd_offset_and_size_are_mapped_exactly(void **state)
{
	struct vhost_user_region region = region_at(GUEST, 5000);
	int fd = memfd_of(MIB);
	struct rh_map *map;
	uint64_t contiguous;
	uint8_t byte = 0xa5;

	(void)state;
	region.mmap_offset = 4096 + 512;
	map = map_of(&region, fd);
	assert_int_equal(pwrite(fd, &byte, 1, 4096 + 512), 1);
	assert_int_equal(*guest_at(map, GUEST, 1, &contiguous), 0xa5);
	assert_non_null(guest_at(map, GUEST + 4999, 1, &contiguous));
	assert_null(guest_at(map, GUEST + 5000, 1, &contiguous));
	assert_null(guest_at(map, GUEST - 1, 1, &contiguous));
	rh_map_put(map);
	close(fd);
}

/* F-01: the length of what is contiguous ends where the region ends. */
static void a_range_over_two_regions_is_cut_between_them(void **state)
{
	struct vhost_user_region first = region_at(0, 2 * MIB);
	struct vhost_user_region second = region_at(2 * MIB, 2 * MIB);
	int first_fd = memfd_of(2 * MIB);
	int second_fd = memfd_of(2 * MIB);
	struct rh_map *map = map_of(&second, second_fd);
	uint64_t contiguous;

	(void)state;
	add(&map, &first, first_fd);
	assert_non_null(guest_at(map, 2 * MIB - 4096, 8192, &contiguous));
	assert_int_equal(contiguous, 4096);
	assert_non_null(guest_at(map, 2 * MIB, 4096, &contiguous));
	assert_int_equal(contiguous, 4096);
	/* a ring must lie in one */
	assert_null(rh_map_frontend(
		map, (struct frontend_addr){ USER + 2 * MIB - 1 }, 2));
	rh_map_put(map);
	close(first_fd);
	close(second_fd);
}

/* F-11: refused before anything is mapped */
static void a_region_that_is_empty_or_wraps_is_refused(void **state)
{
	int fd = memfd_of(MIB);
	struct vhost_user_region region;
	struct rh_map *map;

	(void)state;
	assert_int_equal(rh_map_create(&map), 0);
	expect_refused(map, region_at(GUEST, 0), fd, -EINVAL);
	expect_refused(map, region_at(GUEST, UINT64_MAX), fd, -EINVAL);
	expect_refused(map, region_at(GUEST, UINT64_MAX - 4094), fd, -EINVAL);
	expect_refused(map, region_at(UINT64_MAX - 4095, 8192), fd, -EINVAL);
	region = region_at(GUEST, 4096);
	region.mmap_offset = UINT64_MAX - 4095;
	expect_refused(map, region, fd, -EINVAL);
	region = region_at(GUEST, 8192);
	region.user_addr = UINT64_MAX - 4095;
	expect_refused(map, region, fd, -EINVAL);
	rh_map_put(map);
	close(fd);
}

/* F-25 */
static void a_region_larger_than_its_file_is_refused(void **state)
{
	struct vhost_user_region region = region_at(GUEST, MIB);
	int fd = memfd_of(MIB);
	struct rh_map *map;

	(void)state;
	assert_int_equal(rh_map_create(&map), 0);
	expect_refused(map, region_at(GUEST, MIB + 1), fd, -EINVAL);
	expect_refused(map, region_at(GUEST, UINT64_C(126) << 30), fd, -EINVAL);
	region.mmap_offset = 1;
	expect_refused(map, region, fd, -EINVAL);
	region.mmap_offset = 0;
	add(&map, &region, fd);
	rh_map_put(map);
	close(fd);
}

static void regions_that_overlap_are_refused(void **state)
{
	struct vhost_user_region region = region_at(GUEST, MIB);
	int fd = memfd_of(4 * MIB);
	struct rh_map *map = map_of(&region, fd);

	(void)state;
	expect_refused(map, region, fd, -EEXIST);
	expect_refused(map, region_at(GUEST + MIB - 1, MIB), fd, -EEXIST);
	expect_refused(map, region_at(GUEST - 1, 2), fd, -EEXIST);
	expect_refused(map, region_at(GUEST - MIB, 3 * MIB), fd, -EEXIST);

	/* in the front-end's address space only */
	region = region_at(GUEST + 8 * MIB, MIB);
	region.user_addr = USER + GUEST + MIB / 2;
	expect_refused(map, region, fd, -EEXIST);

	/* side by side they do not */
	region = region_at(GUEST + MIB, MIB);
	add(&map, &region, fd);
	rh_map_put(map);
	close(fd);
}

static void a_file_that_cannot_be_written_or_mapped_is_refused(void **state)
{
	struct rh_map *map;
	char path[64];
	int fd = memfd_of(MIB);
	int read_only;
	int event_fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(rh_map_create(&map), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	expect_refused(map, region_at(GUEST, MIB), read_only, -EACCES);
	expect_refused(map, region_at(GUEST, MIB), event_fd, -ENODEV);
	expect_refused(map, region_at(GUEST, MIB), -1, -EBADF);
	close(read_only);
	close(event_fd);
	close(fd);
	rh_map_put(map);
}

/* F-17: who holds a map is not touched by what replaces it */
static void a_region_lives_as_long_as_a_map_that_holds_it(void **state)
{
	struct vhost_user_region first = region_at(GUEST, MIB);
	struct vhost_user_region second = region_at(GUEST + MIB, MIB);
	int fd = memfd_of(MIB);
	struct rh_map *older = map_of(&first, fd);
	struct rh_map *newer;
	struct rh_map *last;
	uint64_t contiguous;
	uint8_t *host;

	(void)state;
	assert_int_equal(rh_map_add(older, &second, fd, &newer), 0);
	assert_int_equal(rh_map_remove(newer, &first, &last), 0);
	host = guest_at(older, GUEST, 1, &contiguous);
	assert_ptr_equal(guest_at(newer, GUEST, 1, &contiguous), host);
	assert_null(guest_at(last, GUEST, 1, &contiguous));
	rh_map_put(newer);
	rh_map_put(last);
	*host = 1; /* still mapped, or this faults */
	rh_map_put(older);
	assert_int_equal(mincore((void *)align_down((uintptr_t)host, 4096),
				 4096, (unsigned char *)&contiguous),
			 -1);
	assert_int_equal(errno, ENOMEM);
	close(fd);
}

static void only_the_region_of_the_same_place_and_size_is_removed(void **state)
{
	struct vhost_user_region region = region_at(GUEST, MIB);
	struct vhost_user_region other;
	int fd = memfd_of(MIB);
	struct rh_map *map = map_of(&region, fd);
	struct rh_map *next;

	(void)state;
	other = region;
	other.size_bytes = MIB / 2;
	assert_int_equal(rh_map_remove(map, &other, &next), -ENOENT);
	other = region;
	other.user_addr++;
	assert_int_equal(rh_map_remove(map, &other, &next), -ENOENT);
	other = region;
	other.guest_addr++;
	assert_int_equal(rh_map_remove(map, &other, &next), -ENOENT);
	assert_int_equal(rh_map_remove(map, &region, &next), 0);
	assert_int_equal(next->nr_regions, 0);
	rh_map_put(map);
	rh_map_put(next);
	close(fd);
}

static void all_509_slots_resolve_and_one_more_is_refused(void **state)
{
	int fd = memfd_of(4096);
	struct vhost_user_region region;
	struct rh_map *map;
	uint64_t contiguous;

	(void)state;
	assert_int_equal(rh_map_create(&map), 0);
	/* out of order, with a hole after each */
	for (uint64_t i = 0; i < RH_MAX_MEM_SLOTS; i++) {
		region = region_at((i * 197 % RH_MAX_MEM_SLOTS) * 8192, 4096);
		add(&map, &region, fd);
	}
	for (uint64_t i = 0; i < RH_MAX_MEM_SLOTS; i++) {
		assert_non_null(guest_at(map, i * 8192, 1, &contiguous));
		assert_non_null(guest_at(map, i * 8192 + 4095, 1, &contiguous));
		assert_null(guest_at(map, i * 8192 + 4096, 1, &contiguous));
	}
	expect_refused(map, region_at(GUEST, 4096), fd, -ENOSPC);
	rh_map_put(map);
	close(fd);
}

/* A core file of the process is no place for a guest's secrets. */
static void guest_memory_is_not_in_core_dumps(void **state)
{
	struct vhost_user_region region = region_at(GUEST, MIB);
	int fd = memfd_of(MIB);
	struct rh_map *map = map_of(&region, fd);
	size_t bytes;

	(void)state;
	assert_false(is_dumped(rh_region_pages(&map->regions[0], &bytes)));
	rh_map_put(map);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_resolves_nothing),
		cmocka_unit_test(an_address_resolves_to_the_byte_of_the_file),
		cmocka_unit_test(an_odd_offset_and_size_are_mapped_exactly),
		cmocka_unit_test(a_range_over_two_regions_is_cut_between_them),
		cmocka_unit_test(a_region_that_is_empty_or_wraps_is_refused),
		cmocka_unit_test(a_region_larger_than_its_file_is_refused),
		cmocka_unit_test(regions_that_overlap_are_refused),
		cmocka_unit_test(
			a_file_that_cannot_be_written_or_mapped_is_refused),
		cmocka_unit_test(a_region_lives_as_long_as_a_map_that_holds_it),
		cmocka_unit_test(
			only_the_region_of_the_same_place_and_size_is_removed),
		cmocka_unit_test(all_509_slots_resolve_and_one_more_is_refused),
		cmocka_unit_test(guest_memory_is_not_in_core_dumps),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
