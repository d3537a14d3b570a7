/* SPDX-License-Identifier: MIT */
/* engine-watch - watches and signals, on every engine */
#include "tests/unit/engine-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>

struct eye {
	struct engine_watch watch;
	struct fixture *fixture;
	struct eye *other; /* unwatched by ready() */
	unsigned int nr_ready;
	unsigned int nr_removed;
};

static void note_ready(struct engine_watch *watch)
{
	struct eye *eye = container_of(watch, struct eye, watch);

	assert_int_equal(eye->nr_removed, 0);
	eye->nr_ready++;
	if (eye->other && !eye->other->watch.removing)
		engine_unwatch(eye->fixture->engine, &eye->other->watch);
}

static void note_removed(struct engine_watch *watch)
{
	container_of(watch, struct eye, watch)->nr_removed++;
}

static void look_at(struct eye *eye, struct fixture *fixture, int fd)
{
	*eye = (struct eye){
		.fixture = fixture,
		.watch = {
			.fd = fd,
			.ready = note_ready,
			.removed = note_removed,
		},
	};
	assert_int_equal(engine_watch(fixture->engine, &eye->watch), 0);
}

static void wait_removed(struct eye *eye)
{
	while (!eye->nr_removed)
		turn(eye->fixture, true);
	turn_idly(eye->fixture);
	assert_int_equal(eye->nr_removed, 1);
}

static void look_away(struct eye *eye)
{
	engine_unwatch(eye->fixture->engine, &eye->watch);
	assert_int_equal(eye->nr_removed, 0);
	wait_removed(eye);
}

static void wait_ready(struct eye *eye, unsigned int nr)
{
	while (eye->nr_ready < nr)
		turn(eye->fixture, true);
}

static void a_write_to_an_eventfd_calls_once(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, 0);
	rh_eventfd_signal(fd);
	wait_ready(&eye, 1);
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, 1);
	look_away(&eye);
}

static void each_later_write_calls_again_whether_it_is_taken_out(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	for (unsigned int i = 1; i <= 100; i++) {
		rh_eventfd_signal(fd);
		wait_ready(&eye, i);
		if (i % 3 == 0)
			rh_eventfd_drain(fd);
		turn_idly(fixture);
		assert_int_equal(eye.nr_ready, i);
	}
	look_away(&eye);
}

static void what_was_there_before_the_watch_is_seen(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	rh_eventfd_signal(fd);
	look_at(&eye, fixture, fd);
	wait_ready(&eye, 1);
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, 1);
	look_away(&eye);
}

/* Part 2a, "kick storm": no spin after it. */
static void a_storm_of_writes_is_one_call_a_turn(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;
	unsigned int before;

	look_at(&eye, fixture, fd);
	turn(fixture, false);
	for (int i = 0; i < 10000; i++)
		rh_eventfd_signal(fd);
	wait_ready(&eye, 1);
	assert_int_equal(eye.nr_ready, 1);
	turn_idly(fixture);
	before = eye.nr_ready;
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, before);
	look_away(&eye);
}

/* The completion queue overflows, which ends some of the polls. */
static void more_watches_than_fit_are_ready_again_and_again(void **state)
{
	enum {
		NR = 100
	};
	struct fixture *fixture = fixture_of(state);
	struct eye *eyes = calloc(NR, sizeof(*eyes));

	for (int i = 0; i < NR; i++)
		look_at(&eyes[i], fixture, rh_eventfd_create());
	for (unsigned int round = 1; round <= 20; round++) {
		for (int i = 0; i < NR; i++) {
			eyes[i].nr_ready = 0;
			rh_eventfd_signal(eyes[i].watch.fd);
		}
		/* without waiting, since that alone makes room */
		for (int i = 0; i < NR; i++)
			while (!eyes[i].nr_ready)
				turn(fixture, round % 2);
		turn_idly(fixture);
	}
	for (int i = 0; i < NR; i++) {
		look_away(&eyes[i]);
		rh_fd_close(&eyes[i].watch.fd);
	}
	free(eyes);
}

struct kicker {
	int fd;
	atomic_uint asked;
	atomic_uint seen;
};

enum {
	NR_ROUNDS = 20000
};

/* Several writes close together, and none until somebody looked. */
static void *kick(void *opaque)
{
	struct kicker *kicker = opaque;

	for (unsigned int i = 1; i <= NR_ROUNDS; i++) {
		for (unsigned int n = 0; n < i % 3; n++)
			rh_eventfd_signal(kicker->fd);
		atomic_store(&kicker->asked, i);
		rh_eventfd_signal(kicker->fd);
		while (atomic_load(&kicker->seen) != i)
			sched_yield();
	}
	return NULL;
}

/* G-26 */
static void no_write_is_ever_missed(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct kicker kicker = { .fd = rh_eventfd_create() };
	pthread_t thread;
	struct eye eye;

	look_at(&eye, fixture, kicker.fd);
	pthread_create(&thread, NULL, kick, &kicker);
	while (atomic_load(&kicker.seen) != NR_ROUNDS) {
		turn(fixture, true);
		if (eye.nr_ready)
			atomic_store(&kicker.seen, atomic_load(&kicker.asked));
		eye.nr_ready = 0;
	}
	pthread_join(thread, NULL);
	look_away(&eye);
	rh_fd_close(&kicker.fd);
}

/* Part 2a, "kick fd is a pipe"; behaviour 9 */
static void a_pipe_whose_writer_has_gone_calls_a_last_time(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct eye eye;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	look_at(&eye, fixture, fds[0]);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(write(fds[1], "kick", 4), 4);
		wait_ready(&eye, i);
	}
	rh_fd_close(&fds[1]);
	wait_ready(&eye, 4);
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, 4);
	look_away(&eye);
	rh_fd_close(&fds[0]);
}

/* Part 2a, "kick fd is a socket" */
static void a_socket_whose_peer_has_gone_calls_no_more(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct eye eye;
	unsigned int before;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	look_at(&eye, fixture, fds[0]);
	assert_int_equal(write(fds[1], "kick", 4), 4);
	wait_ready(&eye, 1);
	rh_fd_close(&fds[1]);
	wait_ready(&eye, 2);
	turn_idly(fixture);
	before = eye.nr_ready;
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, before);
	look_away(&eye);
	rh_fd_close(&fds[0]);
}

/* Part 2a, "kick fd is a file": it would always be readable. */
static void what_cannot_be_waited_on_is_refused(void **state)
{
	struct fixture *fixture = fixture_of(state);
	const char *paths[] = { "/dev/zero", "/dev/full", "/" };
	struct engine_watch watch = { .ready = note_ready };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		cleanup_close int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		watch.fd = fd;
		assert_int_equal(engine_watch(fixture->engine, &watch), -EPERM);
	}
	turn_idly(fixture);
}

static void what_is_always_readable_does_not_spin(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	unsigned int before;
	struct eye eye;

	assert_true(fd >= 0);
	look_at(&eye, fixture, fd);
	turn_idly(fixture);
	before = eye.nr_ready;
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, before);
	look_away(&eye);
}

static void a_watch_that_was_removed_is_called_no_more(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	turn_idly(fixture);
	rh_eventfd_signal(fd);
	look_away(&eye);
	rh_eventfd_signal(fd);
	turn_idly(fixture);
	assert_int_equal(eye.nr_ready, 0);

	/* and may be made again */
	look_at(&eye, fixture, fd);
	wait_ready(&eye, 1);
	look_away(&eye);
}

static void a_watch_may_be_removed_before_its_first_turn(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	look_away(&eye);
	assert_int_equal(eye.nr_ready, 0);
}

static void a_watch_may_remove_itself(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	eye.other = &eye;
	rh_eventfd_signal(fd);
	wait_removed(&eye);
	assert_int_equal(eye.nr_ready, 1);
}

static void one_watch_may_remove_another_that_is_ready_too(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int first_fd = rh_eventfd_create();
	cleanup_close int second_fd = rh_eventfd_create();
	struct eye first;
	struct eye second;

	for (int i = 0; i < 20; i++) {
		look_at(&first, fixture, first_fd);
		look_at(&second, fixture, second_fd);
		first.other = &second;
		second.other = &first;
		turn_idly(fixture);
		rh_eventfd_signal(first_fd);
		rh_eventfd_signal(second_fd);
		while (!first.nr_removed && !second.nr_removed)
			turn(fixture, true);
		assert_int_equal(first.nr_ready + second.nr_ready, 1);
		look_away(first.nr_removed ? &second : &first);
		rh_eventfd_drain(first_fd);
		rh_eventfd_drain(second_fd);
	}
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void a_signal_arrives_with_the_next_turn(void **state)
{
	struct fixture *fixture = fixture_of(state);
	int fds[100];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = rh_eventfd_create();
		engine_signal(fixture->engine, fds[i]);
	}
	turn(fixture, false);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(count_of(fds[i]), 1);
		rh_fd_close(&fds[i]);
	}
}

static void a_signal_wakes_a_watch(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = rh_eventfd_create();
	struct eye eye;

	look_at(&eye, fixture, fd);
	turn_idly(fixture);
	engine_signal(fixture->engine, fd);
	wait_ready(&eye, 1);
	look_away(&eye);
}

/* Part 2a, "eventfd blocking": its flags are the peer's as well. */
static void a_signal_to_a_blocking_eventfd_arrives(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int fd = eventfd(0, EFD_CLOEXEC);

	engine_signal(fixture->engine, fd);
	turn_idly(fixture);
	assert_int_equal(rh_fd_set_nonblocking(fd), 0);
	assert_int_equal(count_of(fd), 1);
}

/*
 * Part 2a, "counter at 2^64-2": non-blocking as it arrives, and blocking. The
 * kernel itself may still add the one that a write may not.
 */
static void a_signal_to_a_full_eventfd_does_not_wait(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint64_t full = UINT64_MAX - 1;
	int flags[] = { EFD_NONBLOCK, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		cleanup_close int fd = eventfd(0, EFD_CLOEXEC | flags[i]);

		assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
		engine_signal(fixture->engine, fd);
		turn_idly(fixture);
		assert_true(count_of(fd) >= full);
		/* not put off either */
		assert_int_equal(rh_fd_set_nonblocking(fd), 0);
		turn_idly(fixture);
		assert_int_equal(count_of(fd), 0);
	}
}

/* Part 2a, "call fd is a pipe": full, and without a reader. */
static void a_signal_to_a_pipe_does_not_block(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint64_t value = 0;
	char data[4096];
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	engine_signal(fixture->engine, fds[1]);
	turn(fixture, false);
	assert_int_equal(read(fds[0], &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 1);

	memset(data, 0, sizeof(data));
	while (write(fds[1], data, sizeof(data)) > 0)
		;
	engine_signal(fixture->engine, fds[1]);
	turn_idly(fixture);
	rh_fd_close(&fds[0]);
	engine_signal(fixture->engine, fds[1]);
	turn_idly(fixture);
	rh_fd_close(&fds[1]);
}

/* A terminal knows no RWF_NOWAIT, as pipes of older kernels. */
static void a_signal_to_what_cannot_be_asked_not_to_wait_arrives(void **state)
{
	struct fixture *fixture = fixture_of(state);
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	uint64_t value = 0;
	struct termios mode;
	char path[64];
	int terminal;

	assert_true(master >= 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
	terminal = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(tcgetattr(terminal, &mode), 0);
	cfmakeraw(&mode);
	assert_int_equal(tcsetattr(terminal, TCSANOW, &mode), 0);

	engine_signal(fixture->engine, terminal);
	turn(fixture, false);
	assert_int_equal(read(master, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 1);
	rh_fd_close(&terminal);
	rh_fd_close(&master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL_ENGINES(a_write_to_an_eventfd_calls_once),
		ON_ALL_ENGINES(
			each_later_write_calls_again_whether_it_is_taken_out),
		ON_ALL_ENGINES(what_was_there_before_the_watch_is_seen),
		ON_ALL_ENGINES(a_storm_of_writes_is_one_call_a_turn),
		ON_ALL_ENGINES(more_watches_than_fit_are_ready_again_and_again),
		ON_ALL_ENGINES(no_write_is_ever_missed),
		ON_ALL_ENGINES(a_pipe_whose_writer_has_gone_calls_a_last_time),
		ON_ALL_ENGINES(a_socket_whose_peer_has_gone_calls_no_more),
		ON_ALL_ENGINES(what_cannot_be_waited_on_is_refused),
		ON_ALL_ENGINES(what_is_always_readable_does_not_spin),
		ON_ALL_ENGINES(a_watch_that_was_removed_is_called_no_more),
		ON_ALL_ENGINES(a_watch_may_be_removed_before_its_first_turn),
		ON_ALL_ENGINES(a_watch_may_remove_itself),
		ON_ALL_ENGINES(one_watch_may_remove_another_that_is_ready_too),
		ON_ALL_ENGINES(a_signal_arrives_with_the_next_turn),
		ON_ALL_ENGINES(a_signal_wakes_a_watch),
		ON_ALL_ENGINES(a_signal_to_a_blocking_eventfd_arrives),
		ON_ALL_ENGINES(a_signal_to_a_full_eventfd_does_not_wait),
		ON_ALL_ENGINES(a_signal_to_a_pipe_does_not_block),
		ON_ALL_ENGINES(
			a_signal_to_what_cannot_be_asked_not_to_wait_arrives),
	};

	return cmocka_run_group_tests_name("engine-watch", tests, NULL, NULL);
}
