/* SPDX-License-Identifier: MIT */
/*
 * count - the requests whose instructions count.py counts
 *
 *	valgrind --tool=callgrind --dump-before=count_mark ... test-count
 *
 * Each case is a worker, a queue, a guest and a disk from the start to the
 * end. Its requests come in three parts: some until everything is warm, then
 * N, then 2 N. For each case a line is printed: its name and the number of
 * requests in each part. "skipped" stands in their place where the host does
 * not allow io_uring.
 *
 * This is a room of its own, beside the unit tests on whose guest memory it
 * is built, since it asserts nothing about the server but that it answers;
 * bench/ is for what knows a server by its socket only.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "server/drivers/drivers.h"
#include "server/worker.h"
#include "tests/count/turns.h"
#include "tests/count/zero.h"

#define NR_WARM_ROUNDS 16
#define NR_ROUNDS      32 /* N requests */

static const struct count_case {
	const char *name;
	struct guest_shape shape;
	bool on_uring; /* else the null driver answers at once */
} cases[] = {
	{ "split-read-4k", { .nr_segments = 1 }, false },
	{ "split-indirect-read-4k",
	  { .is_indirect = true, .nr_segments = 1 },
	  false },
	{ "split-indirect-read-128k-in-32",
	  { .is_indirect = true, .nr_segments = 32 },
	  false },
	{ "split-indirect-write-4k",
	  { .is_indirect = true, .writes = true, .nr_segments = 1 },
	  false },
	{ "packed-read-4k", { .is_packed = true, .nr_segments = 1 }, false },
	{ "packed-indirect-read-4k",
	  { .is_packed = true, .is_indirect = true, .nr_segments = 1 },
	  false },
	{ "split-indirect-read-4k-io_uring",
	  { .is_indirect = true, .nr_segments = 1 },
	  true },
};

static struct driver *open_disk(const struct count_case *which)
{
	const struct driver_ops *ops =
		which->on_uring ? &zero_driver : &driver_null;
	const struct driver_options options = {
		.name = "count",
		.size_bytes = 1 << 30,
	};
	struct driver *driver;

	assert_int_equal(ops->open(&options, &driver), 0);
	return driver;
}

static struct virtio_blk *make_blk(const struct driver *driver)
{
	const struct virtio_blk_options options = {
		.name = "count",
		.nr_queues = 1,
		.queue_size = 256,
	};
	struct virtio_blk *blk;

	assert_int_equal(virtio_blk_create(&options, driver, &blk), 0);
	virtio_blk_features_set(blk, virtio_blk_features(blk));
	return blk;
}

static void start_queue(struct guest *guest)
{
	struct rh_queue *queue = &guest->memory.ring.queue;

	queue->kick_fd = rh_eventfd_create();
	rh_signal_fd_set(&queue->call, rh_eventfd_create());
	ring_start(&guest->memory.ring, guest_features(guest));
}

static void wait_given_back(struct rh_queue *queue)
{
	struct pollfd woken = { .fd = queue->wake_fd, .events = POLLIN };

	while (!atomic_load(&queue->given_back)) {
		assert_int_equal(poll(&woken, 1, -1), 1);
		rh_eventfd_drain(queue->wake_fd);
	}
	rh_queue_finish(queue);
}

static void run_parts(struct worker *worker, struct turns *turns,
		      const struct count_case *which)
{
	struct driver *driver = open_disk(which);
	struct virtio_blk *blk = make_blk(driver);
	struct rh_queue *queue = &turns->guest->memory.ring.queue;

	start_queue(turns->guest);
	assert_int_equal(worker_queue_start(worker, queue, blk, driver), 0);
	while (sem_wait(&turns->over) < 0)
		;
	worker_queue_stop(worker, queue, NULL, NULL);
	wait_given_back(queue);
	virtio_blk_destroy(blk);
	driver->ops->close(driver);
}

static void tell(const struct count_case *which, const struct turns *turns)
{
	printf("%s", which->name);
	for (unsigned int i = 0; i < TURNS_NR_PARTS; i++)
		printf(" %u", turns->nr_rounds[i] * GUEST_DEPTH);
	printf("\n");
}

static void run_case(const struct count_case *which)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	struct turns turns = {
		.guest = guest,
		.on_uring = which->on_uring,
		.nr_rounds = { NR_WARM_ROUNDS, NR_ROUNDS, 2 * NR_ROUNDS },
	};
	struct worker *worker;

	assert_non_null(guest);
	turns_use(&turns);
	if (worker_create("count", ENGINE_URING, 0, &worker) < 0) {
		printf("%s skipped\n", which->name);
		free(guest);
		return;
	}
	guest_init(guest, which->shape);
	assert_int_equal(worker_start(worker), 0);
	run_parts(worker, &turns, which);
	worker_destroy(worker);
	guest_deinit(guest);
	free(guest);
	tell(which, &turns);
}

static void count_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(&cases[i]);
}

/* As a test only so that a failed check is told and ends it. */
int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(count_cases) };

	return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
