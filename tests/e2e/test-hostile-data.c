/* SPDX-License-Identifier: MIT */
/*
 * hostile-data - the image holds what was written, and nothing else, whatever
 * happens meanwhile: resets, signals, other sizes, requests that overlap
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/chain.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define BLOCK	     4096u
#define CAPACITY     (SERVER_IMAGE_BYTES / 512u)
#define STATUS_OK    15u /* of a driver that runs */
#define SECURE_ERASE 14u
#define WCE_OFFSET   offsetof(struct virtio_blk_config, wce)

static void open_layout(struct client *client, const struct server *server,
			enum layout layout)
{
	struct client_options options = {
		.more_protocol = FE_PROTOCOL_STATUS,
		.packed = 1u << layout & ON_PACKED,
	};

	if (!options.packed)
		options.refused_features = FE_FEATURE_PACKED;
	assert_int_equal(client_open(client, server, &options), 0);
	client->blks[0].framing.indirect = 1u << layout & ON_TABLE;
}

static struct fe_blk_request *add(struct client *client, uint32_t type,
				  uint64_t block)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	assert_non_null(request);
	request->type = type;
	request->sector = block * (BLOCK / 512);
	request->data_bytes = BLOCK;
	request->framing = client->blks[0].framing;
	client_fill(request->data, BLOCK, block);
	assert_int_equal(fe_blk_add(request), 0);
	return request;
}

/* Take what is done, nr at least; each of them has gone well. */
static void reap(struct client *client, unsigned int nr)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request;
	unsigned int nr_done = 0;

	while (nr_done < nr) {
		assert_int_equal(fe_vring_wait(blk->vring, FE_PATIENCE_MSEC),
				 0);
		while (fe_blk_reap(blk, &request) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
			nr_done++;
		}
	}
}

static void read_image(const struct server *server, uint64_t offset, void *data,
		       size_t bytes)
{
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, data, bytes, (off_t)offset), bytes);
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i])
			return false;
	return true;
}

/*
 * Each block of this range, and that of a fresh client, is zero or has all of
 * what was written to it; the rest of the image is zero.
 */
static void assert_image_is_sane(const struct server *server,
				 uint64_t first_block, uint64_t nr_blocks)
{
	static uint8_t image[SERVER_IMAGE_BYTES];
	const uint8_t *data = image;

	read_image(server, 0, image, sizeof(image));
	for (uint64_t i = 0; i < SERVER_IMAGE_BYTES / BLOCK; i++) {
		bool inside = i >= first_block && i < first_block + nr_blocks;

		assert_true(
			((inside || i == 1) && client_filled(data, BLOCK, i)) ||
			is_zero(data, BLOCK));
		data += BLOCK;
	}
}

/* Whether the server has the image open, and only for reading. */
static bool image_is_open_for_reading(const struct server *server)
{
	unsigned int nr_open = 0, nr_writable = 0;
	char path[64], target[128];
	unsigned int flags;
	ssize_t bytes;
	FILE *file;

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", server->pid, fd);
		bytes = readlink(path, target, sizeof(target) - 1);
		target[MAX(bytes, 0)] = '\0';
		if (strcmp(target, server->image))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", server->pid,
			 fd);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "pos: %*d flags: %o", &flags), 1);
		fclose(file);
		nr_open++;
		nr_writable += (flags & O_ACCMODE) != O_RDONLY;
	}
	return nr_open && !nr_writable;
}

struct question {
	uint32_t type;
	uint32_t bytes;
	int error;
};

static void ask(struct client *client, const struct question *question)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	int error;

	request->type = question->type;
	request->data_bytes = question->bytes;
	request->framing = client->blks[0].framing;
	memset(request->data, 1, question->bytes);
	error = fe_blk_execute(request);
	probe_expect("type", question->type, error, question->error);
	fe_blk_put(request);
}

/* G-27, G-28, B-11, B-12: also for a driver that does not know of it */
static void a_read_only_disk_is_not_changed(void **state)
{
	static const struct question questions[] = {
		{ VIRTIO_BLK_T_OUT, 4096, -EIO },
		{ VIRTIO_BLK_T_OUT | 0x80000000u, 4096, -EIO },
		{ VIRTIO_BLK_T_DISCARD, 16, -EIO },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 16, -EIO },
		{ SECURE_ERASE, 16, -EIO },
		{ VIRTIO_BLK_T_FLUSH, 0, 0 },
		{ VIRTIO_BLK_T_IN, 4096, 0 },
		{ VIRTIO_BLK_T_GET_ID, 20, 0 },
	};
	const struct server_options read_only = { .options = {
							  "--read-only" } };
	struct client_options options = {
		.refused_features = FE_BIT(VIRTIO_BLK_F_RO),
	};
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, &read_only), 0);
	assert_true(image_is_open_for_reading(&server));
	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		options.packed = 1u << k & ON_PACKED;
		assert_int_equal(client_open(&client, &server, &options), 0);
		client.blks[0].framing.indirect = 1u << k & ON_TABLE;
		for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
			ask(&client, &questions[i]);
		client_close(&client);
	}
	assert_image_is_sane(&server, 0, 0);
	assert_true(image_is_open_for_reading(&server));
	assert_int_equal(server_stop(&server), 0);
	probe_verdict();
}

/*
 * D-11: with a header that names a file of the host as what lies beneath the
 * image, it is the same raw disk as before; without being told that it is
 * raw, nobody serves it.
 */
static void a_raw_disk_stays_raw_whatever_the_guest_writes(void **state)
{
	static const char beneath[] = "/etc/passwd";
	const struct server_options raw = { .options = { "--format=raw" } };
	uint8_t header[BLOCK] = { 'Q', 'F', 'I', 0xfb, 0,
				  0,   0,   3,	 0,    0,
				  0,   0,   0,	 0,    2,
				  0,   0,   0,	 0,    sizeof(beneath) - 1 };
	uint8_t data[BLOCK];
	struct server server;
	struct client client;

	(void)state;
	memcpy(header + 512, beneath, sizeof(beneath));
	assert_int_equal(server_start(&server, &raw), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(fe_blk_write(&client.blks[0], 0, header, BLOCK), 0);
	assert_int_equal(fe_blk_flush(&client.blks[0]), 0);
	client_close(&client);
	assert_int_equal(server_kill_and_restart(&server, &raw), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(fe_blk_read(&client.blks[0], 0, data, BLOCK), 0);
	assert_memory_equal(data, header, BLOCK);
	assert_int_equal(fe_blk_read(&client.blks[0], CAPACITY - 1, data, 512),
			 0);
	client_close(&client);
	assert_int_equal(server_kill_and_restart(&server, NULL), -ECHILD);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 1);
	server_clean_up(&server);
}

/* Ways in which a guest's requests come to an end before their time */
static void reset_device(struct client *client)
{
	assert_int_equal(fe_session_command(&client->session, FE_RESET_DEVICE),
			 0);
}

static void clear_status(struct client *client)
{
	assert_int_equal(fe_session_set(&client->session, FE_SET_STATUS, 0), 0);
}

static void disconnect(struct client *client)
{
	fe_session_deinit(&client->session);
}

/*
 * D-17: whatever was under way, no byte of the disk changes but of the blocks
 * that were written to, and each of those as a whole.
 */
static void an_end_at_any_moment_harms_no_other_block(void **state)
{
	static void (*const ends[])(struct client * client) = {
		reset_device,
		clear_status,
		disconnect,
	};
	unsigned int nr = hostile_volume(24, 10000);
	unsigned int seed = 1;
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	for (unsigned int i = 0; i < nr; i++) {
		open_layout(&client, &server, (enum layout)(i % NR_LAYOUTS));
		assert_int_equal(fe_session_set(&client.session, FE_SET_STATUS,
						STATUS_OK),
				 0);
		for (unsigned int k = 0; k < CLIENT_DEPTH; k++)
			add(&client, VIRTIO_BLK_T_OUT,
			    512 + (unsigned int)rand_r(&seed) % 512);
		fe_vring_submit(&client.vrings[0]);
		reap(&client, (unsigned int)rand_r(&seed) % CLIENT_DEPTH);
		ends[i % ARRAY_SIZE(ends)](&client);
		client_close(&client);
		if (i % 12 < 11)
			continue;
		/* it is served when the session before has been taken down */
		assert_int_equal(client_fresh_io(&server), 0);
		assert_image_is_sane(&server, 512, 512);
	}
	assert_int_equal(server_stop(&server), 0);
}

struct signaller {
	pid_t pid;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_sent;
};

/*
 * Being stopped and continued interrupts what a thread waits for in a way
 * that no mask of signals prevents.
 */
static void *send_signals(void *opaque)
{
	struct signaller *signaller = opaque;
	const int signals[] = { SIGUSR1, SIGSTOP, SIGCONT };

	while (!atomic_load(&signaller->stop)) {
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
			kill(signaller->pid, signals[i]);
		atomic_fetch_add(&signaller->nr_sent, 1);
		usleep(1000);
	}
	return NULL;
}

/* Each request is either not taken when the ring stops, or has been done. */
static void stop_and_go_on(struct client *client)
{
	struct fe_vring *vring = &client->vrings[0];
	uint32_t base;

	for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
		add(client, VIRTIO_BLK_T_OUT, 512 + i);
	fe_vring_submit(vring);
	assert_int_equal(fe_session_get_base(&client->session, 0, &base), 0);
	assert_true(client_is_drained(vring, base));
	assert_int_equal(
		fe_session_start_vring(&client->session, vring, 0, base), 0);
	reap(client, CLIENT_DEPTH);
}

/* D-13: signals while rings are drained lose no request */
static void signals_while_rings_drain_lose_nothing(void **state)
{
	unsigned int nr = hostile_volume(40, 20000);
	struct signaller signaller = { 0 };
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	signaller.pid = server.pid;
	assert_int_equal(pthread_create(&signaller.thread, NULL, send_signals,
					&signaller),
			 0);
	while (!atomic_load(&signaller.nr_sent))
		usleep(100);
	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		open_layout(&client, &server, (enum layout)k);
		assert_int_equal(fe_session_set(&client.session, FE_SET_STATUS,
						STATUS_OK),
				 0);
		for (unsigned int i = 0; i < nr; i++)
			stop_and_go_on(&client);
		client_close(&client);
	}
	atomic_store(&signaller.stop, true);
	pthread_join(signaller.thread, NULL);
	assert_int_equal(client_fresh_io(&server), 0);
	assert_image_is_sane(&server, 512, CLIENT_DEPTH);
	assert_int_equal(server_stop(&server), 0);
}

static uint64_t capacity_of(struct client *client)
{
	uint64_t capacity = 0;

	assert_int_equal(fe_session_get_config(&client->session, 0, &capacity,
					       sizeof(capacity)),
			 0);
	return le64toh(capacity);
}

/* B-09: first nobody tells the server that the image is shorter, then it is */
static void a_disk_that_shrinks_is_not_read_beyond_its_end(void **state)
{
	const uint64_t half = CAPACITY / 2;
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint8_t data[BLOCK];
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	open_layout(&client, &server, SPLIT_INDIRECT);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(truncate(server.image, (off_t)half * 512), 0);
	assert_int_equal(fe_blk_read(&client.blks[0], half, data, BLOCK), -EIO);
	assert_int_equal(fe_blk_read(&client.blks[0], half - 1, data, BLOCK),
			 -EIO);
	assert_int_equal(fe_blk_read(&client.blks[0], half - 8, data, BLOCK),
			 0);
	assert_int_equal(kill(server.pid, SIGUSR1), 0);
	while (capacity_of(&client) != half)
		assert_true(fe_now_usec() < deadline);
	assert_int_equal(fe_blk_write(&client.blks[0], half, data, BLOCK),
			 -EIO);
	assert_int_equal(fe_blk_write(&client.blks[0], half - 1, data, BLOCK),
			 -EIO);
	assert_int_equal(
		fe_blk_write_zeroes(&client.blks[0], half - 1, 8, true), -EIO);
	assert_int_equal(fe_blk_discard(&client.blks[0], half - 1, 8), -EIO);
	assert_int_equal(fe_blk_write(&client.blks[0], half - 8, data, BLOCK),
			 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	assert_int_equal(truncate(server.image, SERVER_IMAGE_BYTES), 0);
	assert_image_is_sane(&server, half / 8 - 1, 1);
	assert_int_equal(server_stop(&server), 0);
}

/* Segments of this type over the blocks, each over half of the one before. */
static void add_segments(struct client *client, uint32_t type, uint64_t block)
{
	struct virtio_blk_discard_write_zeroes segments[3] = { 0 };
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	assert_non_null(request);
	for (unsigned int i = 0; i < ARRAY_SIZE(segments); i++) {
		segments[i].sector = htole64(block * 8 + i * 4);
		segments[i].num_sectors = htole32(8);
	}
	request->type = type;
	request->data_bytes = sizeof(segments);
	request->framing = client->blks[0].framing;
	memcpy(request->data, segments, sizeof(segments));
	assert_int_equal(fe_blk_add(request), 0);
}

static bool is_zero_or_filled(const uint8_t *data, uint64_t block)
{
	uint8_t expected[BLOCK];

	client_fill(expected, BLOCK, block);
	for (size_t at = 0; at < BLOCK; at += 512)
		if (!is_zero(data + at, 512) &&
		    memcmp(data + at, expected + at, 512))
			return false;
	return true;
}

/* B-23: in whatever order they are carried out, their neighbours stay */
static void segments_may_overlap_and_race_with_writes(void **state)
{
	const uint64_t first = 512;
	unsigned int nr = hostile_volume(60, 100000);
	const struct server *server = chain_server(state);
	struct client client;
	uint8_t data[4 * BLOCK];

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		open_layout(&client, server, (enum layout)k);
		for (unsigned int i = 0; i < 4; i++)
			add(&client, VIRTIO_BLK_T_OUT, first - 1 + i);
		fe_vring_submit(&client.vrings[0]);
		reap(&client, 4);
		for (unsigned int i = 0; i < nr; i++) {
			add(&client, VIRTIO_BLK_T_OUT, first);
			add_segments(&client,
				     i % 2 ? VIRTIO_BLK_T_DISCARD :
					     VIRTIO_BLK_T_WRITE_ZEROES,
				     first);
			add(&client, VIRTIO_BLK_T_OUT, first + 1);
			add(&client, VIRTIO_BLK_T_IN, first);
			fe_vring_submit(&client.vrings[0]);
			reap(&client, 4);
			read_image(server, (first - 1) * BLOCK, data,
				   sizeof(data));
			assert_true(client_filled(data, BLOCK, first - 1));
			assert_true(is_zero_or_filled(data + BLOCK, first));
			assert_true(
				is_zero_or_filled(data + 2 * BLOCK, first + 1));
			assert_true(client_filled(data + 3 * BLOCK, BLOCK,
						  first + 2));
		}
		client_close(&client);
	}
}

/*
 * B-26: the cache is switched off and on while writes are under way; what is
 * answered then is there. That it is durable shows where power is cut.
 */
static void the_cache_is_switched_under_load(void **state)
{
	unsigned int nr = hostile_volume(50, 100000);
	struct client client;
	uint8_t data[BLOCK];

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		open_layout(&client, chain_server(state), (enum layout)k);
		for (unsigned int i = 0; i < nr; i++) {
			uint8_t wce = i % 2;

			for (unsigned int n = 0; n < CLIENT_DEPTH; n++)
				add(&client, VIRTIO_BLK_T_OUT, 600 + n);
			fe_vring_submit(&client.vrings[0]);
			assert_int_equal(fe_session_set_config(&client.session,
							       WCE_OFFSET, &wce,
							       1),
					 0);
			reap(&client, CLIENT_DEPTH);
		}
		read_image(chain_server(state), 600 * BLOCK, data, BLOCK);
		assert_true(client_filled(data, BLOCK, 600));
		client_close(&client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(a_read_only_disk_is_not_changed),
		HOSTILE(a_raw_disk_stays_raw_whatever_the_guest_writes),
		HOSTILE(an_end_at_any_moment_harms_no_other_block),
		HOSTILE(signals_while_rings_drain_lose_nothing),
		HOSTILE(a_disk_that_shrinks_is_not_read_beyond_its_end),
		HOSTILE(segments_may_overlap_and_race_with_writes),
		HOSTILE(the_cache_is_switched_under_load),
	};

	return hostile_run("hostile-data", tests, ARRAY_SIZE(tests));
}
