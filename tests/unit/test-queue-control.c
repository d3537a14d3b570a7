/* SPDX-License-Identifier: MIT */
/* queue-control - readiness, start, stop, and the fds that a queue signals */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "tests/unit/queue-fixture.h"

static void a_queue_is_ready_when_all_is_set_and_enabled(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->ring.queue;

	assert_false(rh_queue_ready(queue)); /* it runs already */
	ring_stop(&f->ring);
	assert_true(rh_queue_ready(queue));
	queue->size = 0;
	assert_false(rh_queue_ready(queue));
	queue->size = SIZE;
	queue->has_addr = false;
	assert_false(rh_queue_ready(queue));
	queue->has_addr = true;
	queue->has_kick = false;
	assert_false(rh_queue_ready(queue));
	queue->has_kick = true;
	queue->enabled = false;
	assert_false(rh_queue_ready(queue));
}

static void a_broken_queue_is_held_until_it_is_set_up_again(void **state)
{
	struct fixture *f = *state;

	fixture_break(f);
	ring_stop(&f->ring);
	assert_false(rh_queue_ready(&f->ring.queue));
	f->ring.queue.hold = RH_HOLD_NONE;
	assert_true(rh_queue_ready(&f->ring.queue));
}

static unsigned int count_fds(void)
{
	unsigned int nr = 0;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* Behaviour 2 */
static void a_reset_forgets_all_that_the_front_end_set(void **state)
{
	unsigned int nr_fds = count_fds();
	struct rh_queue queue;
	int data;

	(void)state;
	rh_queue_init(&queue, "disk", 7, -1, false);
	assert_string_equal(queue.tag, "disk/q7");
	rh_queue_set_data(&queue, &data);
	queue.size = 8;
	queue.base = 5;
	queue.has_addr = queue.has_kick = queue.enabled = true;
	queue.kick_fd = rh_eventfd_create();
	rh_signal_fd_set(&queue.call, rh_eventfd_create());
	rh_signal_fd_set(&queue.err, rh_eventfd_create());
	rh_queue_reset(&queue);
	assert_false(rh_queue_ready(&queue));
	assert_int_equal(queue.base, 0);
	assert_int_equal(rh_queue_kick_fd(&queue), -1);
	assert_int_equal(rh_queue_call_fd(&queue), -1);
	assert_int_equal(count_fds(), nr_fds);
	assert_ptr_equal(rh_queue_data(&queue), &data);
	rh_queue_deinit(&queue);
	rh_queue_deinit(&queue);
}

/* A start that must fail; the queue is broken, which is told once. */
static void assert_start_fails(struct fixture *f, int error, const char *words)
{
	f->nr_lines = 0;
	f->ring.queue.log_limit = (struct log_limit){ 0 };
	assert_int_equal(rh_queue_start(&f->ring.queue, f->ring.map, 0), error);
	fixture_assert_broken(f, words);
	rh_queue_finish(&f->ring.queue);
}

static void a_queue_that_its_owner_fails_is_broken_and_told_once(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->ring.queue;
	struct rh_chain *chain;

	fixture_add_status(f, 0);
	assert_int_equal(rh_queue_pop(queue, &chain), 1);
	rh_eventfd_drain(f->ring.wake_fd);
	rh_queue_fail(queue, "its worker has no memory");
	rh_queue_fail(queue, "nobody hears this");
	fixture_assert_broken(f, "its worker has no memory");
	/* the control thread is told, to set DEVICE_NEEDS_RESET */
	assert_true(atomic_load(&queue->failed));
	assert_int_equal(fixture_count(f->ring.wake_fd), 1);

	fixture_add_status(f, 1);
	assert_int_equal(rh_queue_pop(queue, &chain), -EPROTO);
	assert_false(rh_queue_pending(queue));
	assert_false(rh_queue_expect_kicks(queue));
	/* what was taken before still ends */
	fixture_push_all(f);
	assert_true(rh_queue_flush(queue));
	ring_stop(&f->ring);
	assert_int_equal(queue->hold, RH_HOLD_BROKEN);
}

static void memory_that_is_not_shared_is_told_with_what_to_do(void **state)
{
	struct fixture *f = *state;
	struct rh_map *shared = f->ring.map;

	ring_stop(&f->ring);
	assert_int_equal(rh_map_create(&f->ring.map), 0);
	assert_start_fails(f, -EFAULT, "front-end did not share guest memory");
	assert_non_null(strstr(f->line, "share=on"));
	rh_map_put(f->ring.map);
	f->ring.map = shared;
}

/* Behaviour 34; F-01: each part, outside, one byte too far, misaligned */
static void a_ring_part_at_a_wild_address_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->ring.queue;
	const struct {
		struct frontend_addr *addr;
		uint64_t bytes;
		uint64_t align;
	} parts[] = {
		{ &queue->desc_addr, rh_split_desc_bytes(SIZE), 16 },
		{ &queue->avail_addr, rh_split_avail_bytes(SIZE), 2 },
		{ &queue->used_addr, rh_split_used_bytes(SIZE), 4 },
	};
	const uint64_t end = RING_FRONTEND_BASE + RING_MEMORY_BYTES;

	ring_stop(&f->ring);
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t good = parts[i].addr->value;
		uint64_t last = align_down(end - parts[i].bytes, 16);

		parts[i].addr->value = 0;
		assert_start_fails(f, -EFAULT, "share=on");
		parts[i].addr->value = UINT64_MAX - 15;
		assert_start_fails(f, -EFAULT, "share=on");
		parts[i].addr->value = end;
		assert_start_fails(f, -EFAULT, "share=on");
		parts[i].addr->value = last + 16;
		assert_start_fails(f, -EFAULT, "does not end in");
		parts[i].addr->value = good + parts[i].align / 2;
		assert_start_fails(f, -EINVAL, "is not aligned");
		parts[i].addr->value = last;
		assert_int_equal(rh_queue_start(queue, f->ring.map, 0), 0);
		rh_queue_finish(queue);
		parts[i].addr->value = good;
	}
}

static void a_running_queue_holds_its_map(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->ring.map->nr_refs, 2);
	ring_stop(&f->ring);
	assert_int_equal(f->ring.map->nr_refs, 1);
}

static void event_idx_is_used_when_it_was_accepted(void **state)
{
	struct fixture *f = *state;

	ring_store(ring_avail_event(&f->ring), 99);
	assert_false(rh_queue_expect_kicks(&f->ring.queue));
	assert_int_equal(ring_load(ring_avail_event(&f->ring)), 99);
	ring_stop(&f->ring);
	ring_start(&f->ring, RING_EVENT_IDX);
	assert_false(rh_queue_expect_kicks(&f->ring.queue));
	assert_int_equal(ring_load(ring_avail_event(&f->ring)), 0);
}

/* Behaviour 33 */
static void a_restart_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	fixture_add_status(f, 0);
	fixture_add_status(f, 1);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
	ring_stop(&f->ring);
	assert_int_equal(f->ring.queue.base, 1);
	ring_start(&f->ring, 0);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	assert_int_equal(chain->index, 1);
	rh_queue_push(&f->ring.queue, chain, 1);
	assert_int_equal(f->nr_lines, 0);
}

/* Behaviour 33 */
static void a_stop_publishes_what_was_pushed_and_wakes_the_device(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	fixture_add_status(f, 0);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
	assert_int_equal(ring_used_idx(&f->ring), 0);
	f->ring.queue.state = RH_QUEUE_STOPPING;
	rh_queue_stopped(&f->ring.queue);
	assert_int_equal(ring_used_idx(&f->ring), 1);
	assert_int_equal(fixture_count(f->call_fd), 1);
	assert_int_equal(fixture_count(f->ring.wake_fd), 1);
	assert_true(atomic_load(&f->ring.queue.given_back));
	rh_queue_finish(&f->ring.queue);
	assert_false(atomic_load(&f->ring.queue.given_back));
	assert_int_equal(f->ring.queue.state, RH_QUEUE_STOPPED);
}

/* A start at base; returns where it went on from. */
static uint16_t start_at(struct fixture *f, uint16_t used, uint16_t base)
{
	f->nr_lines = 0;
	ring_store(&f->ring.used->idx, used);
	f->ring.queue.base = base;
	ring_start(&f->ring, 0);
	ring_stop(&f->ring);
	return f->ring.queue.base;
}

static void a_position_off_the_used_index_is_corrected_and_told(void **state)
{
	struct fixture *f = *state;

	ring_stop(&f->ring);
	assert_int_equal(start_at(f, 100, 101), 100);
	assert_int_equal(f->nr_lines, 1);
	assert_non_null(strstr(f->line, "goes on from entry 101"));
	assert_non_null(strstr(f->line, "used up to 100"));
	assert_int_equal(start_at(f, 65535, SIZE - 1), 65535);
	assert_int_equal(f->nr_lines, 1);
	assert_int_equal(start_at(f, 3, 65535), 3);
	assert_int_equal(f->nr_lines, 1);
}

static void any_other_position_is_taken_as_it_is(void **state)
{
	struct fixture *f = *state;

	ring_stop(&f->ring);
	assert_int_equal(start_at(f, 100, 100), 100);
	assert_int_equal(f->nr_lines, 0);
	assert_int_equal(start_at(f, 0, 1000), 1000);
	assert_int_equal(f->nr_lines, 0);
	assert_int_equal(start_at(f, 100, 100 + SIZE + 1), 100 + SIZE + 1);
	assert_int_equal(f->nr_lines, 0);
}

/* Behaviour 13 */
static void a_new_call_fd_becomes_non_blocking(void **state)
{
	struct fixture *f = *state;
	int blocking = eventfd(0, EFD_CLOEXEC);

	rh_signal_fd_set(&f->ring.queue.call, blocking);
	assert_true(fcntl(rh_queue_call_fd(&f->ring.queue), F_GETFL) &
		    O_NONBLOCK);
}

static void a_new_call_fd_takes_the_number_of_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->ring.queue;
	unsigned int nr_fds = count_fds();
	int number = rh_queue_call_fd(queue);
	int mine = rh_eventfd_create();

	rh_signal_fd_set(&queue->call, dup(mine));
	assert_int_equal(rh_queue_call_fd(queue), number);
	assert_true(fcntl(number, F_GETFD) & FD_CLOEXEC);
	rh_queue_notify(queue);
	assert_int_equal(fixture_count(f->call_fd), 0);
	assert_int_equal(fixture_count(mine), 1);
	rh_fd_close(&mine);
	assert_int_equal(count_fds(), nr_fds);
}

static void without_a_call_fd_nobody_is_notified(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->ring.queue;
	int number = rh_queue_call_fd(queue);

	rh_signal_fd_set(&queue->call, -1);
	assert_int_equal(rh_queue_call_fd(queue), -1);
	rh_queue_notify(queue);
	assert_int_equal(fixture_count(f->call_fd), 0);
	/* whoever has read the number may still write to it */
	assert_true(fcntl(number, F_GETFD) >= 0);

	ring_stop(&f->ring);
	assert_int_equal(fcntl(number, F_GETFD), -1);
}

static void a_call_fd_outlives_a_restart(void **state)
{
	struct fixture *f = *state;

	ring_stop(&f->ring);
	ring_start(&f->ring, 0);
	rh_queue_notify(&f->ring.queue);
	assert_int_equal(fixture_count(f->call_fd), 1);
}

struct exchanger {
	struct rh_queue *queue;
	int fd;
	atomic_bool stop;
	unsigned int nr_exchanged;
};

static void *exchange_call_fds(void *opaque)
{
	struct exchanger *exchanger = opaque;

	while (!atomic_load(&exchanger->stop)) {
		rh_signal_fd_set(&exchanger->queue->call, dup(exchanger->fd));
		if (++exchanger->nr_exchanged % 8 == 0)
			rh_signal_fd_set(&exchanger->queue->call, -1);
	}
	return NULL;
}

/* Each write to a number that was current a moment ago finds an open fd. */
static void a_call_fd_may_be_exchanged_under_a_running_queue(void **state)
{
	struct fixture *f = *state;
	struct exchanger exchanger = { .queue = &f->ring.queue,
				       .fd = f->call_fd };
	const uint64_t one = 1;
	bool sound = true;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, exchange_call_fds,
					&exchanger),
			 0);
	for (int i = 0; sound && i < 20000; i++) {
		int number = rh_queue_call_fd(&f->ring.queue);

		if (number >= 0)
			sound = write(number, &one, sizeof(one)) == sizeof(one);
	}
	atomic_store(&exchanger.stop, true);
	pthread_join(thread, NULL);
	assert_true(sound);
}

/* Behaviour 2 */
static void many_starts_and_stops_keep_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned int nr_fds = count_fds();

	for (int i = 0; i < 300; i++) {
		ring_stop(&f->ring);
		rh_signal_fd_set(&f->ring.queue.call, dup(f->call_fd));
		ring_start(&f->ring, i % 2 ? RING_EVENT_IDX : 0);
	}
	assert_int_equal(count_fds(), nr_fds);
	assert_int_equal(f->ring.map->nr_refs, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(a_queue_is_ready_when_all_is_set_and_enabled),
		QUEUE_TEST(a_broken_queue_is_held_until_it_is_set_up_again),
		cmocka_unit_test(a_reset_forgets_all_that_the_front_end_set),
		QUEUE_TEST(
			a_queue_that_its_owner_fails_is_broken_and_told_once),
		QUEUE_TEST(memory_that_is_not_shared_is_told_with_what_to_do),
		QUEUE_TEST(a_ring_part_at_a_wild_address_does_not_start),
		QUEUE_TEST(a_running_queue_holds_its_map),
		QUEUE_TEST(event_idx_is_used_when_it_was_accepted),
		QUEUE_TEST(a_restart_loses_nothing),
		QUEUE_TEST(
			a_stop_publishes_what_was_pushed_and_wakes_the_device),
		QUEUE_TEST(a_position_off_the_used_index_is_corrected_and_told),
		QUEUE_TEST(any_other_position_is_taken_as_it_is),
		QUEUE_TEST(a_new_call_fd_becomes_non_blocking),
		QUEUE_TEST(a_new_call_fd_takes_the_number_of_the_old_one),
		QUEUE_TEST(without_a_call_fd_nobody_is_notified),
		QUEUE_TEST(a_call_fd_outlives_a_restart),
		QUEUE_TEST(a_call_fd_may_be_exchanged_under_a_running_queue),
		QUEUE_TEST(many_starts_and_stops_keep_nothing),
	};

	return cmocka_run_group_tests_name("queue-control", tests, NULL, NULL);
}
