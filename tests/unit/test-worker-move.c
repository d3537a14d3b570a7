/* SPDX-License-Identifier: MIT */
/* worker - a queue goes on in another worker, and nobody notices */
#include "common/fd.h"
#include "tests/unit/worker-bench.h"

#define NR_MOVES 300

/* Two workers, of which the queue is at one. */
struct pair {
	struct guest *guest;
	struct worker *other;
	struct worker *made; /* one of the two; the bench has the first */
	sem_t let_go;
};

static void post(void *opaque)
{
	sem_post(opaque);
}

static struct pair *pair_create(void **state)
{
	struct bench *bench = bench_of(state);
	struct pair *pair = calloc(1, sizeof(*pair));

	pair->guest = &bench->guests[0];
	sem_init(&pair->let_go, 0, 0);
	assert_int_equal(worker_create("disk0/w1", bench->kind, 0, &pair->made),
			 0);
	assert_int_equal(worker_start(pair->made), 0);
	pair->other = pair->made;
	return pair;
}

static void pair_destroy(struct pair *pair)
{
	worker_destroy(pair->made);
	sem_destroy(&pair->let_go);
	free(pair);
}

/* As the control thread does it, which waits elsewhere meanwhile. */
static void ask_for_move(struct pair *pair)
{
	worker_queue_stop(pair->guest->worker, &pair->guest->ring.queue, post,
			  &pair->let_go);
}

static void finish_move(struct pair *pair)
{
	struct worker *from = pair->guest->worker;

	while (sem_wait(&pair->let_go) < 0)
		;
	assert_false(guest_given_back(pair->guest));
	pair->guest->worker = pair->other;
	pair->other = from;
	assert_int_equal(worker_queue_start(
				 pair->guest->worker, &pair->guest->ring.queue,
				 pair->guest->blk, pair->guest->driver),
			 0);
}

/* The guest hangs if an answer or a signal is lost. */
static void move_under_load(void **state)
{
	struct pair *pair = pair_create(state);
	struct flood flood;

	guest_start(pair->guest);
	flood_begin(&flood, pair->guest);
	for (unsigned int i = 0; i < NR_MOVES; i++) {
		ask_for_move(pair);
		finish_move(pair);
	}
	flood_end(&flood);
	guest_stop(pair->guest);
	pair_destroy(pair);
}

/* Behaviours 16 and 17 */
static void a_queue_moves_many_times_under_load(void **state)
{
	move_under_load(state);
}

static void also_when_the_driver_answers_at_once(void **state)
{
	bench_of(state)->driver.at_once = true;
	move_under_load(state);
}

static void what_its_worker_has_taken_ends_there(void **state)
{
	struct bench *bench = bench_of(state);
	struct pair *pair = pair_create(state);

	bench->driver.held = true;
	guest_start(pair->guest);
	for (unsigned int i = 0; i < 4; i++)
		guest_read(pair->guest, i);
	bench_wait_submitted(bench, 4);
	ask_for_move(pair);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(sem_trywait(&pair->let_go), -1);
		bench_let_go(bench, 1);
		guest_wait(pair->guest);
	}
	finish_move(pair);
	bench_let_go(bench, 1);
	guest_read(pair->guest, 7);
	assert_int_equal(guest_wait(pair->guest), 7);
	assert_int_equal(atomic_load(&bench->driver.nr_attached), 2);
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 1);
	guest_stop(pair->guest);
	pair_destroy(pair);
}

/* Its kick may be taken by the worker that leaves. */
static void what_comes_while_nobody_has_the_queue_is_served(void **state)
{
	struct pair *pair = pair_create(state);

	guest_start(pair->guest);
	for (unsigned int i = 0; i < 200; i++) {
		ask_for_move(pair);
		guest_read(pair->guest, i % BENCH_NR_SLOTS);
		finish_move(pair);
		assert_int_equal(guest_wait(pair->guest), i % BENCH_NR_SLOTS);
	}
	guest_stop(pair->guest);
	pair_destroy(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(a_queue_moves_many_times_under_load),
		ON_BOTH_ENGINES(also_when_the_driver_answers_at_once),
		ON_BOTH_ENGINES(what_its_worker_has_taken_ends_there),
		ON_BOTH_ENGINES(
			what_comes_while_nobody_has_the_queue_is_served),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
