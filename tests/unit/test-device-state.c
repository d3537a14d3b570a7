/* SPDX-License-Identifier: MIT */
/* device - its state is saved here and loaded there */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-world.h"

#define SAVE	   0
#define LOAD	   1
#define OK_NO_FD   0x100
#define FAIL_NO_FD 0x101
#define BIG_BYTES  (1u << 20)

static size_t state_bytes;
static int save_result;
static int load_result;
static unsigned int nr_saves;
static unsigned int nr_loads;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static int state_save(void *opaque, void **data, size_t *bytes)
{
	uint8_t *made = state_bytes ? malloc(state_bytes) : NULL;

	(void)opaque;
	nr_saves++;
	if (save_result) {
		free(made);
		return save_result;
	}
	for (size_t i = 0; i < state_bytes; i++)
		made[i] = byte_at(i);
	*data = made;
	*bytes = state_bytes;
	return 0;
}

static int state_load(void *opaque, const void *data, size_t bytes)
{
	(void)opaque;
	nr_loads++;
	assert_int_equal(bytes, state_bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(((const uint8_t *)data)[i], byte_at(i));
	return load_result;
}

static void create(struct world *world)
{
	static struct rh_device_ops ops;

	ops = world_ops;
	ops.state_save = state_save;
	ops.state_load = state_load;
	save_result = 0;
	load_result = 0;
	nr_saves = 0;
	nr_loads = 0;
	world_create_with(world, &ops);
	world_attach(world);
	world_negotiate(world);
	world_share_memory(world);
}

static uint64_t take_u64(struct world *world, uint32_t request)
{
	uint64_t value = UINT64_MAX;

	assert_int_equal(world_take_reply(world, request, &value,
					  sizeof(value)),
			 sizeof(value));
	return value;
}

/* fd: closed here. */
static uint64_t transfer(struct world *world, uint32_t direction,
			 uint32_t phase, int fd)
{
	const struct vhost_user_transfer wanted = { direction, phase };

	world_tell(world, VHOST_USER_SET_DEVICE_STATE_FD, &wanted,
		   sizeof(wanted), fd);
	close(fd);
	world_run(world);
	return take_u64(world, VHOST_USER_SET_DEVICE_STATE_FD);
}

static uint64_t check(struct world *world)
{
	return world_get_u64(world, VHOST_USER_CHECK_DEVICE_STATE);
}

static void expect_state(int fd)
{
	uint8_t chunk[4096];
	size_t bytes = 0;
	ssize_t done;

	while ((done = read(fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < done; i++)
			assert_int_equal(chunk[i], byte_at(bytes + (size_t)i));
		bytes += (size_t)done;
	}
	assert_int_equal(done, 0);
	assert_int_equal(bytes, state_bytes);
}

static void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

/* A pipe, or a pair of sockets */
static void make_channel(int fds[2], bool is_socket)
{
	if (is_socket)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
					    0, fds),
				 0);
	else
		make_pipe(fds);
}

static void a_small_state_is_saved_at_once(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		state_bytes = 1000;
		create(&world);
		make_channel(fds, is_socket);
		assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
		assert_int_equal(check(&world), 0);
		expect_state(fds[0]);
		close(fds[0]);
		world_destroy(&world);
	}
}

/* The check waits for the end; nothing else does, though the fd may block. */
static void a_large_state_is_saved_as_it_is_read(void **state)
{
	static uint8_t sink[BIG_BYTES];
	struct world world;
	size_t bytes = 0;
	ssize_t done;
	int fds[2];

	(void)state;
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		state_bytes = BIG_BYTES;
		bytes = 0;
		create(&world);
		make_channel(fds, is_socket);
		assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
		assert_int_equal(world_get_u64(&world,
					       VHOST_USER_GET_QUEUE_NUM),
				 WORLD_QUEUES);
		world_tell(&world, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0, -1);
		world_run(&world);
		assert_int_equal(world_take_reply(&world,
						  VHOST_USER_CHECK_DEVICE_STATE,
						  sink, sizeof(sink)),
				 -1);
		while ((done = read(fds[0], sink + bytes, BIG_BYTES - bytes)) >
		       0) {
			bytes += (size_t)done;
			world_run(&world);
		}
		assert_int_equal(bytes, BIG_BYTES);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(sink[i], byte_at(i));
		assert_int_equal(
			take_u64(&world, VHOST_USER_CHECK_DEVICE_STATE), 0);
		close(fds[0]);
		world_destroy(&world);
	}
}

static void an_empty_state_is_exchanged_too(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = 0;
	create(&world);
	make_pipe(fds);
	assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
	assert_int_equal(check(&world), 0);
	expect_state(fds[0]);
	close(fds[0]);
	make_pipe(fds);
	assert_int_equal(transfer(&world, LOAD, 0, fds[0]), OK_NO_FD);
	close(fds[1]);
	assert_int_equal(check(&world), 0);
	assert_int_equal(nr_loads, 1);
	world_destroy(&world);
}

static void write_state(struct world *world, int fd)
{
	size_t bytes = 0;

	while (bytes < state_bytes) {
		uint8_t chunk[4096];
		size_t nr = MIN(sizeof(chunk), state_bytes - bytes);

		for (size_t i = 0; i < nr; i++)
			chunk[i] = byte_at(bytes + i);
		assert_int_equal(write(fd, chunk, nr), nr);
		bytes += nr;
		world_run(world);
	}
	close(fd);
}

static void a_state_is_loaded_when_all_of_it_has_come(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		state_bytes = BIG_BYTES;
		create(&world);
		make_channel(fds, is_socket);
		assert_int_equal(transfer(&world, LOAD, 0, fds[0]), OK_NO_FD);
		world_tell(&world, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0, -1);
		assert_int_equal(nr_loads, 0);
		write_state(&world, fds[1]);
		world_run(&world);
		assert_int_equal(nr_loads, 1);
		assert_int_equal(
			take_u64(&world, VHOST_USER_CHECK_DEVICE_STATE), 0);
		/* and the rings start behind it */
		world_start_queue(&world, 0);
		assert_int_equal(world.nr_started, 1);
		world_destroy(&world);
	}
}

/* As cloud-hypervisor does it: both ends at the same offset of a memfd */
static void a_file_in_memory_is_a_channel_too(void **state)
{
	struct world world;
	int fd;

	(void)state;
	state_bytes = BIG_BYTES;
	create(&world);
	fd = rh_memfd_create("state", 0);
	assert_int_equal(transfer(&world, SAVE, 0, dup(fd)), OK_NO_FD);
	assert_int_equal(check(&world), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(transfer(&world, LOAD, 0, dup(fd)), OK_NO_FD);
	assert_int_equal(check(&world), 0);
	assert_int_equal(nr_loads, 1);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	expect_state(fd);

	/* too large, and not to be written */
	assert_int_equal(ftruncate(fd, (off_t)RH_MAX_STATE_BYTES * 2), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(transfer(&world, LOAD, 0, dup(fd)), OK_NO_FD);
	assert_int_equal(check(&world), 1);
	assert_int_equal(nr_loads, 1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(transfer(&world, SAVE, 0, fd), OK_NO_FD);
	assert_int_equal(check(&world), 1);
	world_destroy(&world);
}

static void a_state_that_the_device_refuses_fails_the_check(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = 10;
	create(&world);
	load_result = -EINVAL;
	make_pipe(fds);
	assert_int_equal(transfer(&world, LOAD, 0, fds[0]), OK_NO_FD);
	write_state(&world, fds[1]);
	assert_int_equal(check(&world), 1);
	assert_int_equal(nr_loads, 1);

	save_result = -EIO;
	make_pipe(fds);
	assert_int_equal(transfer(&world, SAVE, 0, fds[1]), FAIL_NO_FD);
	assert_int_equal(check(&world), 1);
	close(fds[0]);
	world_destroy(&world);
}

/* vhost-user, Suspended device state */
static void only_a_suspended_device_transfers_its_state(void **state)
{
	struct vhost_user_vring_state vring = { 0 };
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = 10;
	create(&world);
	world_start_queue(&world, 0);
	make_pipe(fds);
	assert_int_equal(transfer(&world, SAVE, 0, dup(fds[1])), FAIL_NO_FD);
	/* disabled is not stopped */
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	assert_int_equal(transfer(&world, SAVE, 0, dup(fds[1])), FAIL_NO_FD);
	world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	assert_int_equal(transfer(&world, SAVE, 0, dup(fds[1])), OK_NO_FD);
	assert_int_equal(nr_saves, 1);
	close(fds[0]);
	close(fds[1]);

	/* a ring that starts before the state is whole */
	make_pipe(fds);
	assert_int_equal(transfer(&world, LOAD, 0, fds[0]), OK_NO_FD);
	world_start_queue(&world, 0);
	close(fds[1]);
	assert_int_equal(check(&world), 1);
	assert_int_equal(nr_loads, 0);
	world_destroy(&world);
}

static void odd_parameters_are_errors(void **state)
{
	const struct vhost_user_transfer wanted = { SAVE, 0 };
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = 10;
	create(&world);
	assert_int_equal(check(&world), 1);
	make_pipe(fds);
	assert_int_equal(transfer(&world, 2, 0, dup(fds[1])), FAIL_NO_FD);
	assert_int_equal(transfer(&world, UINT32_MAX, 0, dup(fds[1])),
			 FAIL_NO_FD);
	assert_int_equal(transfer(&world, SAVE, 1, dup(fds[1])), FAIL_NO_FD);
	assert_int_equal(nr_saves, 0);
	/* a file that need not be in memory, and what is no file at all */
	assert_int_equal(transfer(&world, LOAD, 0,
				  open("/proc/version", O_RDONLY | O_CLOEXEC)),
			 FAIL_NO_FD);
	assert_int_equal(transfer(&world, LOAD, 0, rh_eventfd_create()),
			 FAIL_NO_FD);
	/* the wrong end of a pipe */
	assert_int_equal(transfer(&world, SAVE, 0, dup(fds[0])), OK_NO_FD);
	assert_int_equal(check(&world), 1);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_DEVICE_STATE_FD,
				   &wanted, sizeof(wanted), -1),
			 1);
	close(fds[0]);
	close(fds[1]);
	world_destroy(&world);
}

/* No signal ends the process. */
static void a_reader_that_goes_fails_the_check(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		state_bytes = BIG_BYTES;
		create(&world);
		make_channel(fds, is_socket);
		assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
		close(fds[0]);
		assert_int_equal(check(&world), 1);
		world_destroy(&world);
	}
}

static void a_front_end_that_goes_while_it_waits_ends_its_session(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = BIG_BYTES;
	create(&world);
	make_pipe(fds);
	assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
	world_tell(&world, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0, -1);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 0);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	close(fds[0]);
	world_destroy(&world);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void a_second_transfer_takes_the_place_of_the_first(void **state)
{
	unsigned int nr_fds = count_fds();
	struct world world;
	int others[50];
	int fds[2];

	(void)state;
	state_bytes = BIG_BYTES;
	create(&world);
	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++) {
		make_channel(fds, i & 1);
		assert_int_equal(transfer(&world, i & 2 ? LOAD : SAVE, 0,
					  fds[1]),
				 OK_NO_FD);
		others[i] = fds[0];
	}
	state_bytes = 10;
	make_pipe(fds);
	assert_int_equal(transfer(&world, SAVE, 0, fds[1]), OK_NO_FD);
	assert_int_equal(check(&world), 0);
	expect_state(fds[0]);
	close(fds[0]);
	assert_int_equal(nr_loads, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++)
		close(others[i]);
	world_destroy(&world);
	assert_int_equal(count_fds(), nr_fds);
}

static void a_state_that_is_too_large_is_refused(void **state)
{
	static uint8_t zeroes[65536];
	size_t bytes = 0;
	struct world world;
	int fds[2];

	(void)state;
	state_bytes = 0;
	create(&world);
	make_channel(fds, true);
	assert_int_equal(transfer(&world, LOAD, 0, fds[0]), OK_NO_FD);
	while (send(fds[1], zeroes, sizeof(zeroes), MSG_NOSIGNAL) > 0) {
		bytes += sizeof(zeroes);
		world_run(&world);
	}
	assert_true(bytes >= RH_MAX_STATE_BYTES);
	assert_true(bytes <= RH_MAX_STATE_BYTES + 10 * sizeof(zeroes));
	assert_int_equal(check(&world), 1);
	assert_int_equal(nr_loads, 0);
	close(fds[1]);
	world_destroy(&world);
}

static void a_device_without_state_does_not_offer_it(void **state)
{
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	assert_int_equal(
		world_get_u64(&world, VHOST_USER_GET_PROTOCOL_FEATURES) &
			FEATURE_BIT(VHOST_USER_PROTOCOL_F_DEVICE_STATE),
		0);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_state_is_saved_at_once),
		cmocka_unit_test(a_large_state_is_saved_as_it_is_read),
		cmocka_unit_test(an_empty_state_is_exchanged_too),
		cmocka_unit_test(a_state_is_loaded_when_all_of_it_has_come),
		cmocka_unit_test(a_file_in_memory_is_a_channel_too),
		cmocka_unit_test(
			a_state_that_the_device_refuses_fails_the_check),
		cmocka_unit_test(only_a_suspended_device_transfers_its_state),
		cmocka_unit_test(odd_parameters_are_errors),
		cmocka_unit_test(a_reader_that_goes_fails_the_check),
		cmocka_unit_test(
			a_front_end_that_goes_while_it_waits_ends_its_session),
		cmocka_unit_test(
			a_second_transfer_takes_the_place_of_the_first),
		cmocka_unit_test(a_state_that_is_too_large_is_refused),
		cmocka_unit_test(a_device_without_state_does_not_offer_it),
	};

	return cmocka_run_group_tests_name("device-state", tests, NULL, NULL);
}
