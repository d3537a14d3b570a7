/* SPDX-License-Identifier: MIT */
/* frontend - our front-end works with a back-end that we did not write */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/frontend/blk.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"
#include "tests/frontend/vring_session.h"

#define IMAGE_BYTES (4 << 20)
#define QUEUE_SIZE  128

struct peer {
	char dir[64];
	char image[96];
	char socket[96];
	pid_t pid;
};

static void exec_daemon(const struct peer *peer)
{
	char file[160];
	char export[256];

	snprintf(file, sizeof(file), "driver=file,node-name=f,filename=%s",
		 peer->image);
	snprintf(export, sizeof(export),
		 "type=vhost-user-blk,id=e,node-name=d,addr.type=unix,"
		 "addr.path=%s,writable=on,num-queues=4",
		 peer->socket);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("qemu-storage-daemon", "qemu-storage-daemon", "--blockdev", file,
	       "--blockdev", "driver=raw,node-name=d,file=f,discard=unmap",
	       "--export", export, NULL);
	_exit(127);
}

/* Returns 0 when it listens, -1 when it cannot be run. */
static int start_peer(struct peer *peer)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int sock;
	int status;

	peer->pid = fork();
	if (peer->pid == 0)
		exec_daemon(peer);
	while (fe_connect(peer->socket, &sock) < 0) {
		if (waitpid(peer->pid, &status, WNOHANG) == peer->pid ||
		    fe_now_usec() > deadline)
			return -1;
		usleep(10000);
	}
	close(sock);
	return 0;
}

static int set_up(void **state)
{
	static struct peer peer;
	int fd;

	strcpy(peer.dir, "/tmp/frontend-XXXXXX");
	if (!mkdtemp(peer.dir))
		return -1;
	snprintf(peer.image, sizeof(peer.image), "%s/image", peer.dir);
	snprintf(peer.socket, sizeof(peer.socket), "%s/socket", peer.dir);
	fd = open(peer.image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0)
		return -1;
	close(fd);
	if (start_peer(&peer) < 0)
		peer.pid = -1;
	*state = &peer;
	return 0;
}

static int tear_down(void **state)
{
	struct peer *peer = *state;

	if (peer->pid > 0) {
		kill(peer->pid, SIGTERM);
		waitpid(peer->pid, NULL, 0);
	}
	unlink(peer->image);
	unlink(peer->socket);
	rmdir(peer->dir);
	return 0;
}

struct fixture {
	struct fe_memory memory;
	struct fe_session session;
	struct fe_vring vring;
	struct fe_blk blk;
};

static struct fixture fixture;

static void connect_to(const struct peer *peer, uint64_t features)
{
	struct fixture *f = &fixture;

	if (peer->pid < 0)
		skip();
	fe_memory_init(&f->memory);
	assert_int_equal(fe_memory_add(&f->memory, 0, 8 << 20), 0);
	assert_int_equal(fe_session_connect(&f->session, peer->socket), 0);
	assert_int_equal(fe_session_negotiate(&f->session, features,
					      FE_USUAL_PROTOCOL),
			 0);
	assert_int_equal(f->session.nr_queues, 4);
	assert_int_equal(fe_session_set_memory(&f->session, &f->memory), 0);
	assert_int_equal(fe_vring_init(&f->vring, &f->memory, 0, QUEUE_SIZE,
				       f->session.features),
			 0);
	assert_int_equal(fe_session_start_vring(&f->session, &f->vring, 1, 0),
			 0);
	assert_int_equal(fe_blk_init(&f->blk, &f->vring, 0, 16, 65536), 0);
}

static void disconnect(void)
{
	struct fixture *f = &fixture;
	uint32_t base;

	assert_int_equal(fe_session_get_base(&f->session, 1, &base), 0);
	assert_int_equal(base, f->vring.next_avail);
	fe_blk_deinit(&f->blk);
	fe_vring_deinit(&f->vring);
	fe_session_deinit(&f->session);
	fe_memory_deinit(&f->memory);
}

static void write_and_read_back(struct fe_blk *blk, uint8_t seed)
{
	uint8_t out[8192];
	uint8_t in[8192];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(seed + i * 7 + i / 251);
	assert_int_equal(fe_blk_write(blk, seed, out, sizeof(out)), 0);
	assert_int_equal(fe_blk_read(blk, seed, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
}

static void what_was_written_is_read_back(void **state)
{
	connect_to(*state, FE_USUAL_FEATURES);
	for (unsigned int i = 0; i < 300; i++)
		write_and_read_back(&fixture.blk, (uint8_t)i);
	assert_int_equal(fe_blk_flush(&fixture.blk), 0);
	disconnect();
}

static void it_works_without_event_idx(void **state)
{
	connect_to(*state, FE_USUAL_FEATURES & ~FE_FEATURE_EVENT_IDX);
	assert_false(fixture.vring.event_idx);
	for (unsigned int i = 0; i < 300; i++)
		write_and_read_back(&fixture.blk, (uint8_t)i);
	disconnect();
}

static void any_framing_works(void **state)
{
	const struct fe_framing framings[] = {
		{ .header_piece_bytes = 1, .data_piece_bytes = 511 },
		{ .join_header = true, .join_status = true },
		{ .data_piece_bytes = 100, .join_header = true },
		{ .data_piece_bytes = 700, .join_status = true },
		{ .indirect = true },
		{ .indirect = true,
		  .header_piece_bytes = 3,
		  .data_piece_bytes = 13,
		  .join_header = true,
		  .join_status = true },
	};

	connect_to(*state, FE_USUAL_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(framings); i++) {
		fixture.blk.framing = framings[i];
		write_and_read_back(&fixture.blk, (uint8_t)i);
	}
	disconnect();
}

static void zeroes_are_written(void **state)
{
	uint8_t in[8192];
	uint8_t zeroes[8192] = { 0 };

	connect_to(*state, FE_USUAL_FEATURES);
	write_and_read_back(&fixture.blk, 0);
	assert_int_equal(fe_blk_write_zeroes(&fixture.blk, 0, 16, false), 0);
	assert_int_equal(fe_blk_read(&fixture.blk, 0, in, sizeof(in)), 0);
	assert_memory_equal(in, zeroes, sizeof(in));
	assert_int_equal(fe_blk_discard(&fixture.blk, 16, 16), 0);
	disconnect();
}

static void errors_come_back_as_errors(void **state)
{
	uint8_t block[512];

	connect_to(*state, FE_USUAL_FEATURES);
	assert_int_equal(fe_blk_read(&fixture.blk, IMAGE_BYTES / 512, block,
				     sizeof(block)),
			 -EIO);
	disconnect();
}

static void requests_run_side_by_side(void **state)
{
	struct fe_blk_request *request;
	unsigned int nr_done = 0;
	uint64_t next = 0;
	int got;

	connect_to(*state, FE_USUAL_FEATURES);
	while (nr_done < 2000) {
		while (next < 2000 && (request = fe_blk_get(&fixture.blk))) {
			request->sector = next++ % 1000 * 8;
			request->data_bytes = 4096;
			assert_true(fe_blk_add(request) >= 0);
		}
		fe_vring_submit(&fixture.vring);
		assert_int_equal(
			fe_vring_wait(&fixture.vring, FE_PATIENCE_MSEC), 0);
		while ((got = fe_blk_reap(&fixture.blk, &request)) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			assert_int_equal(request->used_bytes, 4097);
			fe_blk_put(request);
			nr_done++;
		}
		assert_int_equal(got, 0);
	}
	disconnect();
}

static void the_configuration_is_read(void **state)
{
	struct virtio_blk_config config;
	uint32_t bytes =
		offsetof(struct virtio_blk_config, max_discard_sectors);

	connect_to(*state, FE_USUAL_FEATURES);
	assert_int_equal(
		fe_session_get_config(&fixture.session, 0, &config, bytes), 0);
	assert_int_equal(config.capacity, IMAGE_BYTES / 512);
	assert_int_equal(config.num_queues, 4);
	disconnect();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(it_works_without_event_idx),
		cmocka_unit_test(any_framing_works),
		cmocka_unit_test(zeroes_are_written),
		cmocka_unit_test(errors_come_back_as_errors),
		cmocka_unit_test(requests_run_side_by_side),
		cmocka_unit_test(the_configuration_is_read),
	};

	return cmocka_run_group_tests_name("frontend", tests, set_up,
					   tear_down);
}
