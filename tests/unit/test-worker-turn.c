/* SPDX-License-Identifier: MIT */
/* worker - in which order a turn serves the queues */
#include <linux/virtio_blk.h>
#include <stdlib.h>

#include "server/worker_internal.h"
#include "tests/unit/worker-bench.h"

#define MAX_EVENTS  16
#define LARGE_BYTES (1u << 20) /* costs more than a turn's budget */

/* An engine that does nothing, and notes whom it is to signal. */
struct engine_of_test {
	struct engine engine;
	struct engine_watch *unwatched[2];
	unsigned int nr_unwatched;
	int signals[MAX_EVENTS];
	unsigned int nr_signals;
};

/* The turns of this worker are the test's; it has no thread. */
struct fixture {
	struct bench *bench;
	struct worker worker;
	struct worker_queue *queues[2];
	struct engine_of_test engine;
	uint64_t bytes[MAX_EVENTS]; /* of what the driver was given */
	unsigned int nr_requests;
};

static enum engine_kind kind = ENGINE_THREADS;
static struct fixture fixture;

static int watch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	(void)watch;
	return 0;
}

static void unwatch(struct engine *engine, struct engine_watch *watch)
{
	(void)engine;
	fixture.engine.unwatched[fixture.engine.nr_unwatched++] = watch;
}

static void note_signal(struct engine *engine, int fd)
{
	(void)engine;
	assert_true(fixture.engine.nr_signals < MAX_EVENTS);
	fixture.engine.signals[fixture.engine.nr_signals++] = fd;
}

static int turn(struct engine *engine, uint64_t wait_nsec)
{
	(void)engine;
	(void)wait_nsec;
	while (fixture.engine.nr_unwatched) {
		unsigned int last = --fixture.engine.nr_unwatched;

		fixture.engine.unwatched[last]->removed(
			fixture.engine.unwatched[last]);
	}
	return 0;
}

static const struct engine_ops engine_ops = {
	.name = "test",
	.watch = watch,
	.unwatch = unwatch,
	.signal = note_signal,
	.turn = turn,
};

static int attach(struct driver *driver, struct engine *engine,
		  struct driver_context **ret)
{
	*ret = calloc(1, sizeof(**ret));
	assert_non_null(*ret);
	**ret = (struct driver_context){ driver, engine };
	return 0;
}

static void detach(struct driver_context *context)
{
	free(context);
}

static enum driver_answer submit(struct driver_context *context,
				 struct blk_request *request)
{
	(void)context;
	assert_true(fixture.nr_requests < MAX_EVENTS);
	fixture.bytes[fixture.nr_requests++] = request->bytes;
	request->result = 0;
	return DRIVER_COMPLETED;
}

static const struct driver_ops driver_ops = {
	.name = "test",
	.attach = attach,
	.detach = detach,
	.submit = submit,
};

static void open_queue(struct guest *guest, struct worker_queue **ret)
{
	struct worker_queue *queue = calloc(1, sizeof(*queue));

	assert_non_null(queue);
	queue->worker = &fixture.worker;
	queue->queue = &guest->ring.queue;
	queue->blk = guest->blk;
	queue->driver = guest->driver;
	list_init(&queue->link);
	ring_start(&guest->ring, 0);
	worker_queue_open(queue);
	*ret = queue;
}

static int set_up(void **state)
{
	void *bench = &kind;
	struct worker *worker = &fixture.worker;

	fixture = (struct fixture){ .engine.engine.ops = &engine_ops };
	if (bench_set_up(&bench) < 0)
		return -1;
	fixture.bench = bench;
	fixture.bench->driver.driver.ops = &driver_ops;
	worker->engine = &fixture.engine.engine;
	worker->turn = 1;
	list_init(&worker->active);
	list_init(&worker->drained);
	list_init(&worker->contexts);
	polling_init(&worker->polling, 0);
	for (unsigned int i = 0; i < 2; i++)
		open_queue(&fixture.bench->guests[i], &fixture.queues[i]);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	void *bench = fixture.bench;

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		worker_queue_close(fixture.queues[i]);
	while (!list_empty(&fixture.worker.contexts))
		worker_run_turn(&fixture.worker);
	for (unsigned int i = 0; i < 2; i++)
		guest_wait_given_back(&fixture.bench->guests[i]);
	return bench_tear_down(&bench);
}

/* A read that spends the whole budget of a turn. */
static void add_large(struct guest *guest, unsigned int slot)
{
	struct virtio_blk_outhdr *header =
		ring_at(&guest->ring, guest->header[slot]);
	struct ring_buffer buffers[] = {
		{ guest->header[slot], 16, false },
		{ ring_alloc(&guest->ring, LARGE_BYTES, 4096), LARGE_BYTES,
		  true },
		{ guest->status[slot], 1, true },
	};

	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	ring_add(&guest->ring, (uint16_t)(slot * 4), buffers, 3);
}

static int call_of(const struct guest *guest)
{
	return rh_queue_call_fd(&guest->ring.queue);
}

static void run_turn(struct fixture *f)
{
	f->nr_requests = 0;
	f->engine.nr_signals = 0;
	worker_run_turn(&f->worker);
}

static void queues_are_served_in_the_order_in_which_they_had_work(void **state)
{
	struct fixture *f = *state;
	struct guest *guests = f->bench->guests;

	guest_add(&guests[1], 0);
	add_large(&guests[0], 0);
	run_turn(f);
	assert_int_equal(f->nr_requests, 2);
	assert_int_equal(f->bytes[0], LARGE_BYTES);
	assert_int_equal(f->bytes[1], 512);
	assert_int_equal(f->engine.nr_signals, 2);
	assert_int_equal(f->engine.signals[0], call_of(&guests[0]));
	assert_int_equal(f->engine.signals[1], call_of(&guests[1]));
	assert_true(list_empty(&f->worker.active));

	worker_note_kick(&f->queues[1]->kick);
	worker_note_kick(&f->queues[0]->kick);
	add_large(&guests[0], 1);
	guest_add(&guests[1], 1);
	run_turn(f);
	assert_int_equal(f->bytes[0], 512);
	assert_int_equal(f->bytes[1], LARGE_BYTES);
}

static void
who_spent_the_budget_and_has_more_goes_behind_the_others(void **state)
{
	struct fixture *f = *state;
	struct guest *guests = f->bench->guests;

	for (unsigned int i = 0; i < 3; i++)
		add_large(&guests[0], i);
	guest_add(&guests[1], 0);
	run_turn(f);
	assert_int_equal(f->nr_requests, 2);
	assert_int_equal(f->bytes[0], LARGE_BYTES);
	assert_int_equal(f->bytes[1], 512);

	guest_add(&guests[1], 1);
	run_turn(f);
	assert_int_equal(f->nr_requests, 2);
	assert_int_equal(f->bytes[0], 512);
	assert_int_equal(f->bytes[1], LARGE_BYTES);
	assert_int_equal(f->engine.nr_signals, 2);
	assert_int_equal(f->engine.signals[0], call_of(&guests[1]));
	assert_int_equal(f->engine.signals[1], call_of(&guests[0]));
}

static void who_spends_it_each_time_takes_turns(void **state)
{
	struct fixture *f = *state;
	struct guest *guests = f->bench->guests;

	for (unsigned int i = 0; i < 3; i++) {
		add_large(&guests[0], i);
		add_large(&guests[1], i);
	}
	for (unsigned int i = 0; i < 3; i++) {
		run_turn(f);
		assert_int_equal(f->nr_requests, 2);
		assert_int_equal(f->engine.nr_signals, 2);
		assert_int_equal(f->engine.signals[0], call_of(&guests[0]));
		assert_int_equal(f->engine.signals[1], call_of(&guests[1]));
	}
	run_turn(f);
	assert_int_equal(f->nr_requests, 0);
}

static void all_that_is_left_of_a_turn_is_served_in_the_next(void **state)
{
	struct fixture *f = *state;
	struct guest *guest = &f->bench->guests[0];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < 4; i++)
		add_large(guest, i);
	for (unsigned int i = 0; i < 4; i++) {
		run_turn(f);
		nr += f->nr_requests;
		assert_int_equal(nr, i + 1);
	}
	assert_true(list_empty(&f->worker.active));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(queues_are_served_in_the_order_in_which_they_had_work),
		TEST(who_spent_the_budget_and_has_more_goes_behind_the_others),
		TEST(who_spends_it_each_time_takes_turns),
		TEST(all_that_is_left_of_a_turn_is_served_in_the_next),
	};

	return cmocka_run_group_tests_name("worker-turn", tests, NULL, NULL);
}
