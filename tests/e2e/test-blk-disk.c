/* SPDX-License-Identifier: MIT */
/* blk-disk - the disk as a whole: config, options, zeroes, queues, calls */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define MIB	     (1u << 20)
#define CONFIG_BYTES offsetof(struct virtio_blk_config, unused1)

static void start_with(struct server *server, const char *option)
{
	const struct server_options options = { .options = { option } };

	assert_int_equal(server_start(server, &options), 0);
}

/* Behaviour 22: complete, and the real limits */
static void the_configuration_is_complete(void **state)
{
	struct virtio_blk_config config;
	struct client client;

	assert_int_equal(client_connect(&client, *state, NULL), 0);
	assert_int_equal(fe_session_get_config(&client.session, 0, &config,
					       CONFIG_BYTES),
			 0);
	assert_int_equal(le64toh(config.capacity), SERVER_IMAGE_BYTES / 512);
	assert_int_equal(le32toh(config.blk_size), 512);
	assert_in_range(le32toh(config.seg_max), 1, 1022);
	assert_int_equal(le16toh(config.num_queues), client.session.nr_queues);
	assert_in_range(le32toh(config.max_discard_sectors), 1, UINT32_MAX);
	assert_in_range(le32toh(config.max_discard_seg), 1, 1024);
	assert_in_range(le32toh(config.max_write_zeroes_sectors), 1,
			UINT32_MAX);
	assert_in_range(le32toh(config.max_write_zeroes_seg), 1, 1024);
	assert_true(config.write_zeroes_may_unmap <= 1);
	client_close(&client);
}

/* Behaviour 22, S-41: offset and size are honoured, nothing beyond is given */
static void config_reads_honour_offset_and_size(void **state)
{
	uint8_t whole[FE_MAX_CONFIG_BYTES];
	uint8_t part[FE_MAX_CONFIG_BYTES];
	struct client client;
	uint32_t bytes = CONFIG_BYTES;

	assert_int_equal(client_connect(&client, *state, NULL), 0);
	assert_int_equal(
		fe_session_get_config(&client.session, 0, whole, bytes), 0);
	for (uint32_t offset = 0; offset < bytes; offset++) {
		for (uint32_t size = 1; size <= bytes - offset; size += 7) {
			assert_int_equal(fe_session_get_config(&client.session,
							       offset, part,
							       size),
					 0);
			assert_memory_equal(part, whole + offset, size);
		}
	}
	while (fe_session_get_config(&client.session, bytes, part, 1) == 0)
		bytes++; /* there may be newer members */
	assert_in_range(bytes, CONFIG_BYTES, FE_MAX_CONFIG_BYTES);
	probe_expect("beyond", bytes,
		     fe_session_get_config(&client.session, 0, part, bytes + 1),
		     PROBE_NAK);
	probe_expect("far beyond", 0,
		     fe_session_get_config(&client.session, UINT32_MAX, part,
					   1),
		     PROBE_NAK);
	probe_expect("wraps", 0,
		     fe_session_get_config(&client.session, UINT32_MAX - 1,
					   part, 4),
		     PROBE_NAK);
	/* cloud-hypervisor up to 46 */
	assert_int_equal(fe_session_get_config(&client.session, 0x100, part, 8),
			 0);
	assert_memory_equal(part, whole, 8);
	client_close(&client);
	probe_verdict();
}

static int set_config(struct client *client, uint32_t offset, uint32_t size,
		      uint32_t flags, uint8_t value)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_CONFIG, FE_CONFIG_HEADER_BYTES + size);
	message.payload.config.offset = offset;
	message.payload.config.size = size;
	message.payload.config.flags = flags;
	message.payload.config.data[0] = value;
	return fe_session_exchange(&client->session, &message, NULL, 0);
}

/* Behaviour 23, S-42: the write cache byte and nothing else, flags 0 and 1 */
static void only_the_write_cache_can_be_set(void **state)
{
	const uint32_t wce = offsetof(struct virtio_blk_config, wce);
	struct client client;
	uint8_t value;

	assert_int_equal(client_open(&client, *state, NULL), 0);
	for (uint32_t offset = 0; offset < CONFIG_BYTES; offset++)
		probe_expect("offset", offset,
			     set_config(&client, offset, 1, 0, 1),
			     offset == wce ? PROBE_OK : PROBE_NAK);
	probe_expect("2 bytes", wce, set_config(&client, wce, 2, 0, 1),
		     PROBE_NAK);
	probe_expect("value", 2, set_config(&client, wce, 1, 0, 2), PROBE_NAK);
	probe_expect("flags", 7, set_config(&client, wce, 1, 7, 0), PROBE_NAK);
	for (uint8_t i = 0; i < 4; i++) {
		probe_expect("wce", i,
			     set_config(&client, wce, 1, i / 2, i % 2),
			     PROBE_OK);
		assert_int_equal(fe_session_get_config(&client.session, wce,
						       &value, 1),
				 0);
		assert_int_equal(value, i % 2);
		assert_int_equal(client_check_io(&client, 0, i), 0);
	}
	client_close(&client);
	probe_verdict();
}

/* Behaviour 21 */
static void the_number_of_queues_is_the_same_everywhere(void **state)
{
	struct virtio_blk_config config;
	struct server server;
	struct client client;

	(void)state;
	start_with(&server, "--num-queues=3");
	assert_int_equal(client_connect(&client, &server, NULL), 0);
	assert_int_equal(client.session.nr_queues, 3);
	assert_int_equal(fe_session_get_config(&client.session, 0, &config,
					       CONFIG_BYTES),
			 0);
	assert_int_equal(le16toh(config.num_queues), 3);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

static void the_serial_is_the_id(void **state)
{
	struct server server;
	struct client client;
	char id[VIRTIO_BLK_ID_BYTES + 1] = { 0 };

	(void)state;
	start_with(&server, "--serial=disk-42");
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(fe_blk_get_id(&client.blks[0], id), 0);
	assert_string_equal(id, "disk-42");
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

/* Behaviour 27, G-13: units of 512, aligned to the block size */
static void requests_are_aligned_to_the_block_size(void **state)
{
	struct virtio_blk_config config;
	struct server server;
	struct client client;
	uint8_t data[8192] = { 0 };

	(void)state;
	start_with(&server, "--block-size=4096");
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(fe_session_get_config(&client.session, 0, &config,
					       CONFIG_BYTES),
			 0);
	assert_int_equal(le32toh(config.blk_size), 4096);
	assert_int_equal(le64toh(config.capacity), SERVER_IMAGE_BYTES / 512);
	assert_int_equal(fe_blk_write(&client.blks[0], 8, data, 8192), 0);
	for (uint64_t sector = 1; sector < 8; sector++)
		assert_int_equal(fe_blk_write(&client.blks[0], sector, data,
					      4096),
				 -EIO);
	for (uint32_t bytes = 512; bytes < 8192; bytes += 512)
		assert_int_equal(fe_blk_read(&client.blks[0], 0, data, bytes),
				 bytes == 4096 ? 0 : -EIO);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

/* B-11, G-27, behaviour 28 */
static void a_read_only_disk_is_not_changed(void **state)
{
	struct server server;
	struct client client;
	struct fe_blk *blk = &client.blks[0];
	uint8_t data[4096];
	char id[VIRTIO_BLK_ID_BYTES];

	(void)state;
	start_with(&server, "--read-only");
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_true(client.session.offered_features & FE_BIT(VIRTIO_BLK_F_RO));
	memset(data, 0xff, sizeof(data));
	assert_int_equal(fe_blk_write(blk, 0, data, sizeof(data)), -EIO);
	assert_int_not_equal(fe_blk_discard(blk, 0, 8), 0);
	assert_int_not_equal(fe_blk_write_zeroes(blk, 0, 8, true), 0);
	assert_int_equal(fe_blk_flush(blk), 0);
	assert_int_equal(fe_blk_get_id(blk, id), 0);
	assert_int_equal(fe_blk_read(blk, 0, data, sizeof(data)), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

static blkcnt_t image_blocks(const struct server *server)
{
	struct stat buffer;

	assert_int_equal(stat(server->image, &buffer), 0);
	return buffer.st_blocks;
}

static void write_everywhere(struct client *client, uint32_t bytes)
{
	static uint8_t data[CLIENT_DATA_BYTES];

	client_fill(data, sizeof(data), 1);
	for (uint32_t at = 0; at < bytes; at += sizeof(data))
		assert_int_equal(fe_blk_write(&client->blks[0], at / 512, data,
					      sizeof(data)),
				 0);
	assert_int_equal(fe_blk_flush(&client->blks[0]), 0);
}

static bool image_is_zero(const struct server *server, uint32_t offset,
			  uint32_t bytes)
{
	static uint8_t data[4 * MIB];
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, data, bytes, offset), bytes);
	for (uint32_t i = 0; i < bytes; i++)
		if (data[i])
			return false;
	return true;
}

/* B-22, D-18: what was accepted was done, and nothing next to it */
static void discard_and_zeroes_punch_holes_and_zero(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_blk *blk = &client.blks[0];
	blkcnt_t full;

	assert_int_equal(client_open(&client, server, NULL), 0);
	write_everywhere(&client, 4 * MIB);
	full = image_blocks(server);
	assert_int_equal(fe_blk_discard(blk, 0, MIB / 512), 0);
	assert_int_equal(fe_blk_flush(blk), 0);
	assert_in_range(image_blocks(server), 0, full - MIB / 512);
	assert_false(image_is_zero(server, MIB, 4096));

	full = image_blocks(server);
	assert_int_equal(fe_blk_write_zeroes(blk, MIB / 512, MIB / 512, true),
			 0);
	assert_true(image_is_zero(server, MIB, MIB));
	assert_in_range(image_blocks(server), 0, full - MIB / 512);
	assert_false(image_is_zero(server, 2 * MIB, 512));

	full = image_blocks(server);
	assert_int_equal(fe_blk_write_zeroes(blk, 2 * MIB / 512 + 1, 7, false),
			 0);
	assert_false(image_is_zero(server, 2 * MIB, 512));
	assert_true(image_is_zero(server, 2 * MIB + 512, 7 * 512));
	assert_false(image_is_zero(server, 2 * MIB + 4096, 512));
	assert_int_equal(
		fe_blk_write_zeroes(blk, 3 * MIB / 512, MIB / 512, false), 0);
	assert_true(image_is_zero(server, 3 * MIB, MIB));
	assert_in_range(image_blocks(server), full, full + 64);
	client_close(&client);
}

/* A discard or write-zeroes whose payload is just these bytes. */
static int run_segments(struct client *client, uint32_t type, const void *data,
			uint32_t bytes)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	int error;

	request->type = type;
	request->data_bytes = bytes;
	request->framing.data_piece_bytes = 5;
	request->framing.indirect = true;
	memcpy(request->data, data, bytes);
	error = fe_blk_execute(request);
	fe_blk_put(request);
	return error;
}

struct segment_row {
	const char *what;
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
	int discard;
	int zeroes;
};

/* B-19, B-21, G-17, behaviour 30: sizes, counts, ranges, flags */
static void segments_are_checked(void **state)
{
	const uint64_t end = SERVER_IMAGE_BYTES / 512;
	const struct segment_row rows[] = {
		{ "nothing", 0, 0, 0, 0, 0 },
		{ "the last sector", end - 1, 1, 0, 0, 0 },
		{ "one beyond", end, 1, 0, -EIO, -EIO },
		{ "across the end", end - 1, 2, 0, -EIO, -EIO },
		{ "all ones", UINT64_MAX, 1, 0, -EIO, -EIO },
		{ "wraps", UINT64_MAX, 2, 0, -EIO, -EIO },
		{ "2^55", UINT64_C(1) << 55, 1, 0, -EIO, -EIO },
		{ "too many", 0, UINT32_MAX, 0, -EIO, -EIO },
		{ "unmap", 0, 1, 1, -EOPNOTSUPP, 0 },
		{ "reserved flag", 0, 1, 2, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "all flags", 0, 1, UINT32_MAX, -EOPNOTSUPP, -EOPNOTSUPP },
	};
	struct virtio_blk_discard_write_zeroes segments[64] = { 0 };
	struct client client;

	assert_int_equal(client_open(&client, *state, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		segments[0].sector = htole64(rows[i].sector);
		segments[0].num_sectors = htole32(rows[i].num_sectors);
		segments[0].flags = htole32(rows[i].flags);
		probe_expect(rows[i].what, VIRTIO_BLK_T_DISCARD,
			     run_segments(&client, VIRTIO_BLK_T_DISCARD,
					  segments, 16),
			     rows[i].discard);
		probe_expect(rows[i].what, VIRTIO_BLK_T_WRITE_ZEROES,
			     run_segments(&client, VIRTIO_BLK_T_WRITE_ZEROES,
					  segments, 16),
			     rows[i].zeroes);
	}
	client_close(&client);
	probe_verdict();
}

/*
 * B-17, B-18, G-09, behaviour 30: whole segments, no more of them than
 * announced
 */
static void segment_counts_are_checked(void **state)
{
	const uint32_t wrong[] = { 0, 1, 8, 15, 17, 31 };
	const uint32_t types[] = { VIRTIO_BLK_T_DISCARD,
				   VIRTIO_BLK_T_WRITE_ZEROES };
	struct virtio_blk_discard_write_zeroes segments[300] = { 0 };
	struct virtio_blk_config config;
	struct client client;
	uint32_t most;
	int error;

	assert_int_equal(client_open(&client, *state, NULL), 0);
	assert_int_equal(fe_session_get_config(&client.session, 0, &config,
					       CONFIG_BYTES),
			 0);
	for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
		most = le32toh(k ? config.max_write_zeroes_seg :
				   config.max_discard_seg);
		assert_in_range(most, 1, 256);
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
			probe_expect("bytes", wrong[i],
				     run_segments(&client, types[k], segments,
						  wrong[i]),
				     -EIO);
		for (uint32_t i = 0; i < most; i++) {
			segments[i].sector = htole64(i * 8);
			segments[i].num_sectors = htole32(8);
		}
		probe_expect("segments", most,
			     run_segments(&client, types[k], segments,
					  most * 16),
			     0);
		error = run_segments(&client, types[k], segments,
				     (most + 1) * 16);
		probe_expect("segments", most + 1,
			     error == -EIO ? -EOPNOTSUPP : error, -EOPNOTSUPP);
	}
	client_close(&client);
	probe_verdict();
}

/* The first call comes whatever is asked for; none is on its way then. */
static void take_first_call(struct client *client)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	rh_eventfd_drain(client->vrings[0].call_fd); /* as it got the fd */
	request->data_bytes = 512;
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_submit(&client->vrings[0]);
	assert_int_equal(fe_eventfd_wait(client->vrings[0].call_fd,
					 FE_PATIENCE_MSEC),
			 1);
	assert_int_equal(fe_blk_wait(request, 0), 0);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
}

/* Behaviour 31: one call for what the driver waits for, not for each */
static void event_idx_gives_one_call_where_it_was_asked_for(void **state)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	struct fe_blk_request *request;
	uint64_t deadline;

	assert_int_equal(client_open(&client, *state, NULL), 0);
	assert_true(vring->event_idx);
	take_first_call(&client);
	for (unsigned int round = 0; round < 20; round++) {
		/* a call when the last of them is used, please */
		fe_vring_expect_calls_behind(vring, CLIENT_DEPTH - 1);
		while ((request = fe_blk_get(&client.blks[0]))) {
			request->data_bytes = 512;
			assert_true(fe_blk_add(request) >= 0);
		}
		fe_vring_submit(vring);
		assert_int_equal(
			fe_eventfd_wait(vring->call_fd, FE_PATIENCE_MSEC), 1);
		/* and it comes after all of them */
		for (unsigned int i = 0; i < CLIENT_DEPTH; i++) {
			assert_int_equal(fe_blk_reap(&client.blks[0], &request),
					 1);
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
	}
	/* none where none was asked for */
	fe_vring_suppress_calls(vring);
	request = fe_blk_get(&client.blks[0]);
	request->data_bytes = 512;
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_submit(vring);
	deadline = fe_deadline(FE_PATIENCE_MSEC);
	while (!fe_vring_has_used(vring) && fe_now_usec() < deadline)
		usleep(1000);
	assert_true(fe_vring_has_used(vring));
	assert_int_equal(fe_eventfd_wait(vring->call_fd, 20), -ETIMEDOUT);
	client_close(&client);
}

struct verifier {
	struct client *client;
	unsigned int queue;
	unsigned int nr_rounds;
	int error;
};

/* Write depth blocks of one's own at once, then read them all back. */
static int verify_round(struct verifier *verifier, uint64_t round, bool writing)
{
	struct fe_blk *blk = &verifier->client->blks[verifier->queue];
	struct fe_blk_request *request;
	uint64_t slot = 0;
	int ret = 0;

	while ((request = fe_blk_get(blk))) {
		request->user = (void *)(uintptr_t)slot;
		request->sector = (slot * 4 + verifier->queue) * 8;
		request->data_bytes = 4096;
		request->type = writing ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
		if (writing)
			client_fill(request->data, 4096,
				    round * 1000 + slot * 4 + verifier->queue);
		ret = fe_blk_add(request);
		if (ret < 0)
			return ret;
		slot++;
	}
	fe_vring_submit(blk->vring);
	while (blk->nr_under_way) {
		ret = fe_vring_wait(blk->vring, FE_PATIENCE_MSEC);
		while (!ret && fe_blk_reap(blk, &request) > 0) {
			ret = fe_blk_result(request);
			slot = (uintptr_t)request->user;
			if (!ret && !writing &&
			    !client_filled(request->data, 4096,
					   round * 1000 + slot * 4 +
						   verifier->queue))
				ret = -EILSEQ;
			fe_blk_put(request);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static void *verify(void *opaque)
{
	struct verifier *verifier = opaque;

	for (uint64_t i = 0; i < verifier->nr_rounds && !verifier->error; i++) {
		verifier->error = verify_round(verifier, i, true);
		if (!verifier->error)
			verifier->error = verify_round(verifier, i, false);
	}
	return NULL;
}

/* D-09, behaviour 25: 4 queues, 32 requests deep, neighbouring blocks */
static void four_queues_work_side_by_side(void **state)
{
	const struct client_options options = {
		.nr_queues = 4,
		.depth = 32,
		.queue_size = 128,
		.data_bytes = 4096,
	};
	struct verifier verifiers[4];
	pthread_t threads[4];
	struct client client;

	assert_int_equal(client_open(&client, *state, &options), 0);
	for (unsigned int i = 0; i < 4; i++) {
		verifiers[i] = (struct verifier){ .client = &client,
						  .queue = i,
						  .nr_rounds = 60 };
		assert_int_equal(pthread_create(&threads[i], NULL, verify,
						&verifiers[i]),
				 0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		probe_expect("queue", i, verifiers[i].error, 0);
	}
	client_close(&client);
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(the_configuration_is_complete),
		WITH_SERVER(config_reads_honour_offset_and_size),
		WITH_SERVER(only_the_write_cache_can_be_set),
		cmocka_unit_test(the_number_of_queues_is_the_same_everywhere),
		cmocka_unit_test(the_serial_is_the_id),
		cmocka_unit_test(requests_are_aligned_to_the_block_size),
		cmocka_unit_test(a_read_only_disk_is_not_changed),
		WITH_SERVER(discard_and_zeroes_punch_holes_and_zero),
		WITH_SERVER(segments_are_checked),
		WITH_SERVER(segment_counts_are_checked),
		WITH_SERVER(event_idx_gives_one_call_where_it_was_asked_for),
		WITH_SERVER(four_queues_work_side_by_side),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("blk-disk", tests, NULL, NULL);
}
