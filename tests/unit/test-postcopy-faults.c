/* SPDX-License-Identifier: MIT */
/* postcopy - who touches a missing page waits, and is let go in the end */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "common/base.h"
#include "tests/unit/postcopy-world.h"

#define WAIT_MSEC 180000

/* Where the rings of queue 0 are (world_set_addr()). */
#define AVAIL 0x1000u

struct pop {
	pthread_t thread;
	struct rh_queue *queue;
	int outcome;
};

static void *run_pop(void *opaque)
{
	struct pop *pop = opaque;
	struct rh_chain *chain;

	pop->outcome = rh_queue_pop(pop->queue, &chain);
	return NULL;
}

static void begin_pop(struct pop *pop, struct world *world)
{
	pop->queue = &world->device->queues[0];
	assert_int_equal(pthread_create(&pop->thread, NULL, run_pop, pop), 0);
}

static uint64_t take_fault(int userfaultfd)
{
	struct uffd_msg message;

	assert_true(has_fault(userfaultfd, WAIT_MSEC));
	assert_int_equal(read(userfaultfd, &message, sizeof(message)),
			 sizeof(message));
	assert_int_equal(message.event, UFFD_EVENT_PAGEFAULT);
	return align_down(message.arg.pagefault.address, PAGE_BYTES);
}

static void serve_page(int userfaultfd, uint64_t address, const void *page)
{
	struct uffdio_copy copy = {
		.dst = address,
		.src = (uintptr_t)page,
		.len = PAGE_BYTES,
	};

	assert_int_equal(ioctl(userfaultfd, UFFDIO_COPY, &copy), 0);
}

static void the_owner_begins_the_ring_and_gets_the_pages(void **state)
{
	_Alignas(8) static const uint8_t zeros[PAGE_BYTES];
	_Alignas(8) uint8_t broken_avail[PAGE_BYTES] = { 0 };
	uint64_t address;
	struct world world;
	struct pop pop;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	fd = create_listening(&world, &address);
	assert_false(has_fault(fd, 0));
	broken_avail[2] = 0xff; /* an index that a ring of 64 cannot have */
	begin_pop(&pop, &world);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t missing = take_fault(fd);

		assert_in_range(missing - address, 0, WORLD_MEMORY_BYTES - 1);
		serve_page(fd, missing,
			   missing == address + AVAIL ? broken_avail : zeros);
	}
	pthread_join(pop.thread, NULL);
	assert_int_equal(pop.outcome, -EPROTO);
	close(fd);
	world_destroy(&world);
}

/* The page cache fills by another way; only the wake-up is the fd's. */
static void a_page_that_is_there_does_not_fault(void **state)
{
	static const uint8_t zeros[4 * PAGE_BYTES];
	struct uffdio_range range = { .len = PAGE_BYTES };
	uint64_t address;
	struct world world;
	struct pop pop;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	fd = create_listening(&world, &address);
	begin_pop(&pop, &world);
	range.start = take_fault(fd);
	assert_int_equal(pwrite(world.memory_fd, zeros, sizeof(zeros), 0),
			 sizeof(zeros));
	assert_int_equal(ioctl(fd, UFFDIO_WAKE, &range), 0);
	pthread_join(pop.thread, NULL);
	assert_int_equal(pop.outcome, 0);
	close(fd);
	world_destroy(&world);
}

static void after_the_end_nothing_faults(void **state)
{
	uint64_t address;
	struct world world;
	struct pop pop;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	fd = create_listening(&world, &address);
	begin_pop(&pop, &world);
	take_fault(fd);
	/* also who waits is let go */
	assert_int_equal(world_get_u64(&world, VHOST_USER_POSTCOPY_END), 0);
	pthread_join(pop.thread, NULL);
	assert_int_equal(pop.outcome, 0);
	assert_false(has_fault(fd, 0));
	close(fd);
	world_destroy(&world);
}

static void regions_added_while_listening_fault_too(void **state)
{
	struct vhost_user_single_region single = world_whole_memory();
	struct vhost_user_single_region answer;
	uint64_t address;
	_Alignas(8) const uint8_t page[PAGE_BYTES] = { 5 };
	struct world world;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	fd = create_listening(&world, &address);
	single.region.guest_addr += WORLD_MEMORY_BYTES;
	single.region.user_addr += WORLD_MEMORY_BYTES;
	world_tell(&world, VHOST_USER_ADD_MEM_REG, &single, sizeof(single),
		   world.memory_fd);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_ADD_MEM_REG,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	/* the queue has stopped for it and waits again */
	assert_int_equal(world.nr_started, 1);
	assert_int_equal(confirm(&world, VHOST_USER_ADD_MEM_REG), 0);
	assert_int_equal(world.nr_started, 2);

	serve_page(fd, answer.region.user_addr, page);
	assert_int_equal(*(uint8_t *)(uintptr_t)answer.region.user_addr, 5);
	assert_false(has_fault(fd, 0));
	close(fd);
	world_destroy(&world);
}

/* A thread of the device waits for ever, unless the end of the session helps */
static void the_end_of_the_session_lets_go_who_waits(void **state)
{
	uint64_t address;
	struct world world;
	struct pop pop;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	assert_int_equal(rh_device_guard_memory(), 0);
	fd = create_listening(&world, &address);
	world.slow = true;
	begin_pop(&pop, &world);
	take_fault(fd);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_stop_asked, 1);
	pthread_join(pop.thread, NULL);
	assert_int_equal(pop.outcome, 0);
	world_give_back(&world);
	assert_int_equal(world.nr_disconnected, 1);
	close(fd);
	world_destroy(&world);
}

struct transfer {
	pthread_t thread;
	uint64_t address;
	int file;
	ssize_t written;
	int error;
};

static void *run_transfer(void *opaque)
{
	struct transfer *transfer = opaque;

	transfer->written =
		write(transfer->file, (void *)(uintptr_t)transfer->address,
		      PAGE_BYTES);
	transfer->error = errno;
	return NULL;
}

/* Data that never arrived must not reach the disk as zeros. */
static void what_never_arrived_is_not_written(void **state)
{
	struct transfer transfer;
	uint64_t address;
	struct world world;
	int fd;

	(void)state;
	NEEDS_USERFAULTFD();
	assert_int_equal(rh_device_guard_memory(), 0);
	fd = create_listening(&world, &address);
	transfer.address = address + 8 * PAGE_BYTES;
	transfer.file = rh_memfd_create("disk", 0);
	assert_int_equal(pthread_create(&transfer.thread, NULL, run_transfer,
					&transfer),
			 0);
	assert_int_equal(take_fault(fd), transfer.address);
	rh_fd_close(&world.front_end);
	world.slow = true;
	world_run(&world);
	pthread_join(transfer.thread, NULL);
	assert_int_equal(transfer.written, -1);
	assert_int_equal(transfer.error, EFAULT);
	/* our own touch finds a page of zeros, which changes nothing there */
	assert_int_equal(*(uint8_t *)(uintptr_t)(transfer.address), 0);
	assert_int_equal(
		write(transfer.file,
		      (void *)(uintptr_t)(transfer.address + PAGE_BYTES),
		      PAGE_BYTES),
		-1);
	assert_int_equal(errno, EFAULT);
	world_give_back(&world);
	assert_int_equal(world.nr_disconnected, 1);
	close(transfer.file);
	close(fd);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_begins_the_ring_and_gets_the_pages),
		cmocka_unit_test(a_page_that_is_there_does_not_fault),
		cmocka_unit_test(after_the_end_nothing_faults),
		cmocka_unit_test(regions_added_while_listening_fault_too),
		cmocka_unit_test(the_end_of_the_session_lets_go_who_waits),
		cmocka_unit_test(what_never_arrived_is_not_written),
	};

	return cmocka_run_group_tests_name("postcopy-faults", tests, NULL,
					   NULL);
}
