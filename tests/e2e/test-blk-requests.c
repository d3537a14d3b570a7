/* SPDX-License-Identifier: MIT */
/* blk-requests - single requests: framing, sizes, ranges, types, answers */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/ring.h"

#define CAPACITY (SERVER_IMAGE_BYTES / 512u)

/* What is asked, and the whole of what came back. */
struct trial {
	uint32_t type;
	uint64_t sector;
	uint32_t bytes;
	struct fe_framing framing;
	uint32_t ioprio;
	const void *out;
	uint32_t used_bytes;
	uint8_t in[CLIENT_DATA_BYTES];
};

/* Returns 0 or -errno, as fe_blk_execute(). */
static int run(struct client *client, struct trial *trial)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	int error;

	assert_non_null(request);
	request->type = trial->type;
	request->sector = trial->sector;
	request->data_bytes = trial->bytes;
	request->framing = trial->framing;
	request->ioprio = trial->ioprio;
	memset(request->data, 0x5a, trial->bytes);
	if (trial->out)
		memcpy(request->data, trial->out, trial->bytes);
	error = fe_blk_execute(request);
	trial->used_bytes = request->used_bytes;
	memcpy(trial->in, request->data, trial->bytes);
	if (request->done)
		fe_blk_put(request);
	return error;
}

/* The answer, and how many bytes it says it wrote. */
static void expect(struct client *client, const char *what, struct trial *trial,
		   int error)
{
	uint32_t used = 1;

	probe_expect(what, trial->sector << 32 | trial->bytes,
		     run(client, trial), error);
	if (!error && fe_blk_type_reads(trial->type))
		used += trial->type == VIRTIO_BLK_T_GET_ID ?
				MIN(trial->bytes, 20u) :
				trial->bytes;
	/* G-15: exactly what was written, a failed read only its status */
	if (trial->used_bytes != used)
		probe_expect(what, trial->used_bytes, -EBADMSG, 0);
}

static struct client *open_client(void **state)
{
	static struct client client;

	assert_int_equal(client_open(&client, *state, NULL), 0);
	return &client;
}

static void close_client(struct client *client)
{
	assert_int_equal(client_check_io(client, 0, 9), 0);
	client_close(client);
	probe_verdict();
}

/* Write with one framing, read back with it, and both with the usual one. */
static void try_framing(struct client *client, const struct fe_framing *framing,
			uint32_t bytes, uint64_t seed)
{
	static uint8_t data[CLIENT_DATA_BYTES];
	struct trial trial = { .bytes = bytes, .sector = 16, .out = data };

	client_fill(data, bytes, seed);
	trial.type = VIRTIO_BLK_T_OUT;
	trial.framing = *framing;
	expect(client, "write", &trial, 0);
	trial.type = VIRTIO_BLK_T_IN;
	trial.framing = (struct fe_framing){ 0 };
	trial.out = NULL;
	expect(client, "read plainly", &trial, 0);
	probe_expect("what was written", seed,
		     client_filled(trial.in, bytes, seed) ? 0 : -EILSEQ, 0);
	trial.framing = *framing;
	expect(client, "read", &trial, 0);
	probe_expect("what was read", seed,
		     client_filled(trial.in, bytes, seed) ? 0 : -EILSEQ, 0);
}

/* All ways to join, and empty pieces in between, around these pieces. */
static void try_joints(struct client *client, uint32_t header_piece,
		       uint32_t data_piece)
{
	static uint64_t seed;
	struct fe_framing framing = {
		.header_piece_bytes = header_piece,
		.data_piece_bytes = data_piece,
		.indirect = true,
	};

	for (unsigned int flags = 0; flags < 8; flags++) {
		framing.join_header = flags & 1;
		framing.join_status = flags & 2;
		framing.empty_pieces = flags & 4;
		/* a table has 1024 entries at most */
		if (data_piece != 1 || !framing.empty_pieces)
			try_framing(client, &framing, 512, seed++);
		if (!data_piece || data_piece > 100)
			try_framing(client, &framing, 8192, seed++);
	}
}

/* B-03, G-10, G-15, behaviour 26: cut anywhere, joined anywhere (2.7.4.1) */
static void any_framing_works(void **state)
{
	const uint32_t headers[] = { 0, 1, 3, 8, 15 };
	const uint32_t pieces[] = { 0, 1, 13, 511, 512, 513, 4095 };
	struct client *client = open_client(state);

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		for (size_t k = 0; k < ARRAY_SIZE(pieces); k++)
			try_joints(client, headers[i], pieces[k]);
	close_client(client);
}

/* B-03, behaviour 26: without a table, in as many pieces as the ring has */
static void direct_descriptors_work_in_any_framing(void **state)
{
	struct client *client = open_client(state);
	struct fe_framing framing = { 0 };

	for (unsigned int flags = 0; flags < 8; flags++) {
		framing.header_piece_bytes = flags & 1 ? 5 : 0;
		framing.join_header = flags & 2;
		framing.join_status = flags & 4;
		for (uint32_t piece = 100; piece < 520; piece += 83) {
			framing.data_piece_bytes = piece;
			try_framing(client, &framing, 4096, flags * piece);
		}
	}
	close_client(client);
}

/* B-03: data in several hundred pieces, longer than the ring */
static void a_chain_longer_than_the_ring_works(void **state)
{
	struct client *client = open_client(state);
	const struct fe_framing framing = {
		.data_piece_bytes = 64,
		.indirect = true,
	};

	try_framing(client, &framing, 60416, 1); /* 944 pieces */
	close_client(client);
}

/* G-13, behaviour 27 */
static void data_that_is_no_multiple_of_a_sector_is_refused(void **state)
{
	const uint32_t sizes[] = { 0, 1, 511, 513, 767, 1023, 4097 };
	struct client *client = open_client(state);
	struct trial trial = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		trial.bytes = sizes[i];
		trial.type = VIRTIO_BLK_T_IN;
		expect(client, "read", &trial, -EIO);
		trial.type = VIRTIO_BLK_T_OUT;
		expect(client, "write", &trial, -EIO);
	}
	close_client(client);
}

static uint64_t image_sum(const struct server *server)
{
	static uint8_t bytes[SERVER_IMAGE_BYTES];
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);
	struct stat buffer;
	uint64_t sum = 0;

	assert_int_equal(fstat(fd, &buffer), 0);
	assert_int_equal(buffer.st_size, SERVER_IMAGE_BYTES);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

/* B-08, G-16, G-17: whole, or not at all; nothing wraps */
static void what_lies_beyond_the_disk_is_refused(void **state)
{
	const uint64_t sectors[] = { CAPACITY,
				     CAPACITY + 1,
				     UINT64_C(1) << 32,
				     UINT64_C(1) << 54,
				     (UINT64_C(1) << 55) - 1,
				     UINT64_C(1) << 55,
				     UINT64_C(1) << 63,
				     UINT64_MAX };
	struct client *client = open_client(state);
	struct trial trial = { 0 };
	uint64_t sum;

	trial.bytes = 512;
	trial.sector = CAPACITY - 1;
	trial.type = VIRTIO_BLK_T_OUT;
	expect(client, "the last sector", &trial, 0);
	sum = image_sum(*state);
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		trial.sector = sectors[i];
		trial.type = VIRTIO_BLK_T_IN;
		expect(client, "read", &trial, -EIO);
		trial.type = VIRTIO_BLK_T_OUT;
		expect(client, "write", &trial, -EIO);
	}
	trial.framing.data_piece_bytes = 512;
	trial.framing.indirect = true;
	trial.sector = CAPACITY - 1;
	for (uint32_t nr = 2; nr <= 128; nr++) {
		trial.bytes = nr * 512;
		trial.type = VIRTIO_BLK_T_OUT;
		expect(client, "write across the end", &trial, -EIO);
		trial.type = VIRTIO_BLK_T_IN;
		expect(client, "read across the end", &trial, -EIO);
	}
	assert_int_equal(image_sum(*state), sum);
	close_client(client);
}

/* B-15, G-14, behaviour 29: and nothing is touched */
static void unknown_types_are_unsupported(void **state)
{
	const uint32_t types[] = { 2,	3,     5,	   6,	      7,  9,
				   10,	12,    14,	   15,	      16, 17,
				   18,	20,    22,	   24,	      26, 255,
				   256, 65536, 0x40000000, 0x7fffffff };
	struct client *client = open_client(state);
	struct trial trial = { .bytes = 512 };
	uint64_t sum = image_sum(*state);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		trial.type = types[i];
		expect(client, "type", &trial, -EOPNOTSUPP);
	}
	assert_int_equal(image_sum(*state), sum);
	close_client(client);
}

/* B-15, B-24, behaviour 29: drivers of old set bit 31; ioprio is reserved */
static void the_barrier_bit_and_ioprio_are_ignored(void **state)
{
	struct client *client = open_client(state);
	static uint8_t data[4096];
	struct trial trial = { .bytes = sizeof(data), .out = data };

	client_fill(data, sizeof(data), 3);
	trial.type = VIRTIO_BLK_T_OUT | 0x80000000u;
	trial.ioprio = 0xffffffff;
	expect(client, "write", &trial, 0);
	trial.type = VIRTIO_BLK_T_IN;
	expect(client, "read", &trial, 0);
	assert_true(client_filled(trial.in, sizeof(data), 3));
	close_client(client);
}

/* B-13, G-28 */
static void a_flush_may_look_odd(void **state)
{
	const struct client_options options = {
		.refused_features = FE_BIT(VIRTIO_BLK_F_FLUSH) |
				    FE_BIT(VIRTIO_BLK_F_CONFIG_WCE),
	};
	struct client *client = open_client(state);
	struct client other;
	struct trial trial = { .type = VIRTIO_BLK_T_FLUSH };

	expect(client, "plain", &trial, 0);
	trial.bytes = 512;
	expect(client, "with data", &trial, 0);
	close_client(client);

	assert_int_equal(client_open(&other, *state, &options), 0);
	trial.bytes = 0;
	expect(&other, "not negotiated", &trial, 0);
	close_client(&other);
}

/* B-14, behaviour 29: at most 20 bytes, padded with zeroes, in any framing */
static void get_id_fills_at_most_20_bytes(void **state)
{
	const uint32_t sizes[] = { 20, 19, 21, 1, 4096 };
	struct client *client = open_client(state);
	struct trial trial = { .type = VIRTIO_BLK_T_GET_ID, .bytes = 20 };
	char id[20];
	int error;

	expect(client, "GET_ID", &trial, 0);
	memcpy(id, trial.in, sizeof(id));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		trial.bytes = sizes[i];
		trial.framing.data_piece_bytes = (uint32_t)i * 3;
		trial.framing.indirect = true;
		expect(client, "GET_ID", &trial, 0);
		assert_memory_equal(trial.in, id, MIN(sizes[i], 20u));
		for (uint32_t k = 20; k < sizes[i]; k++)
			assert_int_equal(trial.in[k], 0x5a);
	}
	trial.bytes = 0;
	error = run(client, &trial);
	assert_true(error == -EIO || error == -EOPNOTSUPP);
	close_client(client);
}

/* B-07: the data lies on the wrong side of the chain */
static void data_in_the_wrong_direction_is_refused(void **state)
{
	struct client *client = open_client(state);
	struct trial trial = { .bytes = 512, .framing.reverse_data = true };
	uint64_t sum = image_sum(*state);
	struct fe_blk_request *request;

	trial.type = VIRTIO_BLK_T_IN;
	probe_expect("readable data-in", 0, run(client, &trial), -EIO);
	trial.type = VIRTIO_BLK_T_OUT;
	probe_expect("writable data-out", 0, run(client, &trial), -EIO);
	assert_int_equal(image_sum(*state), sum);
	request = fe_blk_get(&client->blks[0]);
	assert_non_null(request);
	fe_blk_put(request);
	close_client(client);
}

/* B-02: the status can be reached, so it tells */
static void a_header_too_short_is_an_error(void **state)
{
	struct ring ring;

	for (uint32_t bytes = 0; bytes < FE_BLK_HEADER_BYTES; bytes++) {
		ring_open(&ring, *state);
		ring.desc[0].len = bytes;
		ring_push(&ring, 0);
		probe_expect("header bytes", bytes, ring_wait(&ring), -EIO);
		probe_expect("used bytes", ring.request->used_bytes,
			     ring.request->used_bytes == 1 ? 0 : -EBADMSG, 0);
		ring_close(&ring);
	}
	ring_open(&ring, *state);
	ring.desc[0].flags |= VRING_DESC_F_WRITE;
	ring_push(&ring, 0);
	probe_expect("writable header", 0, ring_wait(&ring), -EIO);
	ring_close(&ring);
	probe_verdict();
}

static void push_broken(struct ring *ring, const char *what)
{
	ring_push(ring, 0);
	probe_expect(what, 0, ring_is_broken(&ring->client), 0);
	ring_close(ring);
}

/* B-01, G-20, G-21: never a completion with a stale status */
static void without_a_status_byte_the_ring_is_broken(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	ring.desc[0].flags = 0;
	push_broken(&ring, "the header alone");
	ring_open(&ring, *state);
	ring.desc[1].flags = 0; /* the data, readable now, is the last */
	push_broken(&ring, "nothing writable");
	ring_open(&ring, *state);
	ring.desc[2].len = 0;
	ring.desc[1].len = 0;
	push_broken(&ring, "nothing to write");
	ring_open(&ring, *state);
	ring.desc[2].addr = htole64(RING_MEMORY_END);
	push_broken(&ring, "status outside memory");
	ring_open(&ring, *state);
	ring.desc[0].addr = htole64(RING_MEMORY_END - 15);
	push_broken(&ring, "header partly outside memory");
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(any_framing_works),
		WITH_SERVER(direct_descriptors_work_in_any_framing),
		WITH_SERVER(a_chain_longer_than_the_ring_works),
		WITH_SERVER(data_that_is_no_multiple_of_a_sector_is_refused),
		WITH_SERVER(what_lies_beyond_the_disk_is_refused),
		WITH_SERVER(unknown_types_are_unsupported),
		WITH_SERVER(the_barrier_bit_and_ioprio_are_ignored),
		WITH_SERVER(a_flush_may_look_odd),
		WITH_SERVER(get_id_fills_at_most_20_bytes),
		WITH_SERVER(data_in_the_wrong_direction_is_refused),
		WITH_SERVER(a_header_too_short_is_an_error),
		WITH_SERVER(without_a_status_byte_the_ring_is_broken),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("blk-requests", tests, NULL, NULL);
}
