/* SPDX-License-Identifier: MIT */
/*
 * hostile-requests - block requests that no driver should make, in each layout
 *
 * Each table runs in one session for each layout of a ring; behind each
 * request, whatever became of it, both queues have to work. The image is
 * compared where nothing may have been written.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/chain.h"
#include "tests/e2e/probe.h"

#define IN	     VIRTIO_BLK_T_IN
#define OUT	     VIRTIO_BLK_T_OUT
#define FLUSH	     VIRTIO_BLK_T_FLUSH
#define GET_ID	     VIRTIO_BLK_T_GET_ID
#define DISCARD	     VIRTIO_BLK_T_DISCARD
#define ZEROES	     VIRTIO_BLK_T_WRITE_ZEROES
#define BLK_F_SCSI   7 /* of old, and not in all headers */
#define SECURE_ERASE 14u
#define BARRIER	     0x80000000u
#define CAPACITY     (SERVER_IMAGE_BYTES / 512u)
#define ID_BYTES     20u
#define WRITE	     VRING_DESC_F_WRITE

struct row {
	const char *what;
	uint32_t type;
	uint64_t sector;
	uint32_t bytes;
	unsigned int outcomes;
	struct fe_framing framing;
};

static void start_with(struct server *server, const char *option)
{
	const struct server_options options = { .options = { option } };

	assert_int_equal(server_start(server, &options), 0);
}

/* A number that is another one when a byte has changed. */
static uint64_t image_sum(const struct server *server)
{
	static uint64_t words[SERVER_IMAGE_BYTES / sizeof(uint64_t)];
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);
	uint64_t sum = 0;

	assert_int_equal(lseek(fd, 0, SEEK_END), SERVER_IMAGE_BYTES);
	assert_int_equal(pread(fd, words, sizeof(words), 0), sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		sum = (sum << 7 | sum >> 57) + words[i];
	return sum;
}

/* What the request has written, and the byte in front and behind it */
static void assert_image_has(const struct server *server, const struct row *row)
{
	static uint8_t bytes[CHAIN_DATA_BYTES + 2];
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);
	off_t offset = (off_t)row->sector * 512 - 1;

	assert_int_equal(pread(fd, bytes, row->bytes + 2, offset),
			 row->bytes + 2);
	for (uint32_t i = 0; i < row->bytes + 2; i++)
		assert_int_equal(bytes[i], i == 0 || i == row->bytes + 1 ?
						   0 :
						   CHAIN_FILL);
}

static void cut(struct chain *chain, const struct row *row)
{
	chain->request->framing = row->framing;
	chain_cut(chain, row->type, row->sector, row->bytes);
	if (row->type == GET_ID)
		chain->used_when_well = 1 + MIN(row->bytes, ID_BYTES);
	/* segments of no sectors: nothing is wrong with them */
	if (row->type == DISCARD || row->type == ZEROES)
		memset(chain->request->data, 0, row->bytes);
}

static void try_rows(const struct server *server, const struct row *rows,
		     size_t nr)
{
	static struct chain chain;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, server, (enum layout)k);
		for (size_t i = 0; i < nr; i++) {
			cut(&chain, &rows[i]);
			chain_lay(&chain);
			chain_try(&chain, rows[i].what, rows[i].bytes,
				  rows[i].outcomes);
			if (rows[i].type == OUT &&
			    rows[i].outcomes == GOES_WELL)
				assert_image_has(server, &rows[i]);
		}
		chain_close(&chain);
	}
}

#define TRY(server, rows) try_rows(server, rows, ARRAY_SIZE(rows))

/* With what the healthy queue writes each time */
static uint64_t image_sum_before(const struct server *server)
{
	static struct chain chain;

	chain_open(&chain, server, SPLIT_DIRECT);
	assert_int_equal(client_check_io(&chain.client, 1, 2), 0);
	assert_int_equal(client_check_io(&chain.client, 1, 3), 0);
	chain_close(&chain);
	return image_sum(server);
}

/* As above, and not a byte of the image has changed. */
static void try_in_vain(const struct server *server, const struct row *rows,
			size_t nr)
{
	uint64_t sum = image_sum_before(server);

	try_rows(server, rows, nr);
	assert_true(image_sum(server) == sum);
	probe_verdict();
}

#define TRY_IN_VAIN(server, rows) try_in_vain(server, rows, ARRAY_SIZE(rows))

/* G-20, G-21: never a completion with the status that was there before */
static void no_room_for_the_status(struct chain *chain, uint64_t bytes)
{
	for (unsigned int i = 0; i < chain->nr; i++)
		if (chain->pieces[i].flags & WRITE)
			chain->pieces[i].bytes = (uint32_t)bytes;
}

static void nothing_writable(struct chain *chain, uint64_t value)
{
	(void)value;
	for (unsigned int i = 0; i < chain->nr; i++)
		chain->pieces[i].flags = 0;
}

static void header_alone(struct chain *chain, uint64_t value)
{
	(void)value;
	chain->nr = 1;
}

static void preset_status(struct chain *chain, uint64_t value)
{
	*chain->request->status_byte = (uint8_t)value;
	chain->pieces[1].addr = CHAIN_MEMORY_END;
}

/* G-20, G-21, B-01 */
static void without_a_status_byte_the_ring_is_broken(void **state)
{
	static const struct chain_row rows[] = {
		{ "the header alone", header_alone, NULL, 0, BREAKS, 0 },
		{ "nothing writable", nothing_writable, NULL, 0, BREAKS, 0 },
		{ "nothing to write", no_room_for_the_status, NULL, 0, BREAKS,
		  0 },
		{ "bad data, and a status of", preset_status, NULL, 0, FAILS,
		  0 },
		{ "bad data, and a status of", preset_status, NULL, 0xff, FAILS,
		  0 },
	};

	TRY_CHAINS(rows);
}

static void set_header_bytes(struct chain *chain, uint64_t bytes)
{
	chain->pieces[0].bytes = (uint32_t)bytes;
}

static void writable_header(struct chain *chain, uint64_t bytes)
{
	chain->pieces[0].bytes = (uint32_t)bytes;
	chain->pieces[0].flags = WRITE;
}

static void header_and_no_status(struct chain *chain, uint64_t bytes)
{
	set_header_bytes(chain, bytes);
	nothing_writable(chain, 0);
}

/* B-02: The status can be reached, so it tells. */
static void a_header_too_short_is_an_error(void **state)
{
	static const struct chain_row rows[] = {
		{ "bytes", set_header_bytes, NULL, 0, FAILS, 0 },
		{ "bytes", set_header_bytes, NULL, 1, FAILS, 0 },
		{ "bytes", set_header_bytes, NULL, 4, FAILS, 0 },
		{ "bytes", set_header_bytes, NULL, 8, FAILS, 0 },
		{ "bytes", set_header_bytes, NULL, 15, FAILS, 0 },
		{ "writable, bytes", writable_header, NULL, 16, FAILS, 0 },
		{ "writable, bytes", writable_header, NULL, 0, FAILS, 0 },
		{ "no status either, bytes", header_and_no_status, NULL, 15,
		  BREAKS, 0 },
	};

	TRY_CHAINS(rows);
}

/* G-15, B-03, B-25, G-10; virtio 1.3, 2.7.4.1 */
static void requests_may_be_cut_anywhere(void **state)
{
	static const struct row rows[] = {
		{ "header in bytes",
		  IN,
		  8,
		  512,
		  GOES_WELL,
		  { .header_piece_bytes = 1, .data_piece_bytes = 13 } },
		{ "header in bytes",
		  OUT,
		  40,
		  512,
		  GOES_WELL,
		  { .header_piece_bytes = 1, .data_piece_bytes = 13 } },
		{ "header and data in one",
		  OUT,
		  64,
		  4096,
		  GOES_WELL,
		  { .join_header = true } },
		{ "data and status in one",
		  IN,
		  8,
		  4096,
		  GOES_WELL,
		  { .join_status = true } },
		{ "513 bytes at last",
		  IN,
		  8,
		  1024,
		  GOES_WELL,
		  { .data_piece_bytes = 512, .join_status = true } },
		{ "odd pieces",
		  OUT,
		  64,
		  4096,
		  GOES_WELL,
		  { .header_piece_bytes = 5,
		    .data_piece_bytes = 511,
		    .join_header = true } },
		{ "empty pieces",
		  OUT,
		  64,
		  4096,
		  GOES_WELL,
		  { .header_piece_bytes = 3,
		    .data_piece_bytes = 513,
		    .empty_pieces = true } },
	};

	TRY(chain_server(state), rows);
	probe_verdict();
}

/* As many bytes before the status byte belong to the data. */
static void lengthen_status(struct chain *chain, uint64_t by)
{
	chain->pieces[1].bytes -= (uint32_t)by;
	chain->pieces[2].addr -= by;
	chain->pieces[2].bytes += (uint32_t)by;
}

/* More room than the data needs: it is no multiple of a sector. */
static void add_room(struct chain *chain, uint64_t by)
{
	chain->pieces[2].addr -= by;
	chain->pieces[2].bytes += (uint32_t)by;
}

/* G-15, B-04 */
static void the_status_is_the_last_byte(void **state)
{
	static const struct chain_row rows[] = {
		{ "bytes", lengthen_status, NULL, 1, GOES_WELL, 0 },
		{ "bytes", lengthen_status, NULL, 3, GOES_WELL, 0 },
		{ "bytes", lengthen_status, NULL, 4095, GOES_WELL, 0 },
		{ "too many", add_room, NULL, 1, FAILS, 0 },
		{ "too many", add_room, NULL, 3, FAILS, 0 },
	};

	TRY_CHAINS(rows);
}

/* G-15, B-05, B-06, G-13: no whole sectors, none at all */
static void data_that_is_no_multiple_of_a_sector_is_refused(void **state)
{
	static const struct row rows[] = {
		{ "read", IN, 8, 0, FAILS, { 0 } },
		{ "read", IN, 8, 1, FAILS, { 0 } },
		{ "read", IN, 8, 511, FAILS, { 0 } },
		{ "read", IN, 8, 513, FAILS, { 0 } },
		{ "read", IN, 8, 4097, FAILS, { .data_piece_bytes = 100 } },
		{ "write", OUT, 8, 0, FAILS, { 0 } },
		{ "write", OUT, 8, 1, FAILS, { 0 } },
		{ "write", OUT, 8, 511, FAILS, { 0 } },
		{ "write", OUT, 8, 513, FAILS, { 0 } },
		{ "write", OUT, 8, 4097, FAILS, { .data_piece_bytes = 100 } },
	};

	TRY_IN_VAIN(chain_server(state), rows);
}

/* B-05, G-13: whole sectors, but no whole blocks */
static void data_that_is_no_multiple_of_a_block_is_refused(void **state)
{
	static const struct row rows[] = {
		{ "read", IN, 8, 512, FAILS, { 0 } },
		{ "read", IN, 9, 4096, FAILS, { 0 } },
		{ "write", OUT, 8, 512, FAILS, { 0 } },
		{ "write", OUT, 8, 4608, FAILS, { 0 } },
		{ "write", OUT, 9, 4096, FAILS, { 0 } },
		{ "write", OUT, 15, 4096, FAILS, { 0 } },
	};
	struct server server;

	(void)state;
	start_with(&server, "--block-size=4096");
	TRY_IN_VAIN(&server, rows);
	assert_int_equal(server_stop(&server), 0);
}

/* B-07 */
static void data_in_the_wrong_direction_is_refused(void **state)
{
	static const struct row rows[] = {
		{ "read", IN, 8, 512, FAILS, { .reverse_data = true } },
		{ "write", OUT, 8, 512, FAILS, { .reverse_data = true } },
		{ "write", OUT, 64, 4096, FAILS, { .reverse_data = true } },
	};

	TRY_IN_VAIN(chain_server(state), rows);
}

/* A write, half of whose data is somewhere else */
static void write_two_halves(struct chain *chain)
{
	struct piece half;

	chain_cut(chain, OUT, 1024, CHAIN_DATA_BYTES);
	half = chain->pieces[1];
	half.bytes /= 2;
	chain->pieces[1] = half;
	half.addr += half.bytes;
	chain_insert(chain, 2, half);
}

static void second_half_outside(struct chain *chain, uint64_t addr)
{
	write_two_halves(chain);
	chain->pieces[2].addr = addr;
}

static void second_half_behind_status(struct chain *chain, uint64_t value)
{
	struct piece half;

	(void)value;
	write_two_halves(chain);
	half = chain->pieces[2];
	chain_remove(chain, 2);
	chain_insert(chain, 3, half);
}

/* not even what is good of the data is written */
static void a_write_with_bad_data_changes_nothing(void **state)
{
	static const struct chain_row rows[] = {
		{ "half outside memory", second_half_outside, NULL,
		  CHAIN_MEMORY_END, FAILS, 0 },
		{ "half outside memory", second_half_outside, NULL,
		  CHAIN_MEMORY_END - 512, FAILS, 0 },
		{ "half behind the status", second_half_behind_status, NULL, 0,
		  FAILS, 0 },
	};
	uint64_t sum = image_sum_before(chain_server(state));

	TRY_CHAINS(rows);
	assert_true(image_sum(chain_server(state)) == sum);
}

/* B-08, G-16, G-17: whole, or not at all */
static void what_lies_beyond_the_disk_is_refused(void **state)
{
	static const struct row rows[] = {
		{ "read", IN, CAPACITY, 512, FAILS, { 0 } },
		{ "read", IN, CAPACITY - 1, 1024, FAILS, { 0 } },
		{ "read", IN, CAPACITY - 1, 512, GOES_WELL, { 0 } },
		{ "write", OUT, CAPACITY, 512, FAILS, { 0 } },
		{ "write",
		  OUT,
		  CAPACITY - 1,
		  1024,
		  FAILS,
		  { .data_piece_bytes = 512 } },
		{ "write",
		  OUT,
		  CAPACITY - 1,
		  31 * 512,
		  FAILS,
		  { .data_piece_bytes = 512 } },
		{ "write", OUT, UINT64_C(1) << 32, 512, FAILS, { 0 } },
		{ "write", OUT, UINT64_C(1) << 54, 512, FAILS, { 0 } },
		{ "write", OUT, UINT64_C(1) << 55, 512, FAILS, { 0 } },
		{ "write", OUT, (UINT64_C(1) << 55) + 8, 512, FAILS, { 0 } },
		{ "write", OUT, UINT64_C(1) << 63, 512, FAILS, { 0 } },
		{ "write", OUT, UINT64_MAX, 512, FAILS, { 0 } },
		{ "write", OUT, UINT64_MAX, 1024, FAILS, { 0 } },
		{ "write", OUT, UINT64_MAX - 7, 4096, FAILS, { 0 } },
	};

	TRY_IN_VAIN(chain_server(state), rows);
}

/* B-15, B-16, B-25, G-14 */
static void unknown_types_are_unsupported(void **state)
{
	const uint32_t types[] = {
		2,	  3,	     5,		  6,	       7,
		9,	  10,	     12,	  14,	       15,
		16,	  17,	     18,	  20,	       22,
		24,	  26,	     255,	  256,	       65536,
		1u << 30, INT32_MAX, BARRIER | 2, BARRIER | 3, UINT32_MAX
	};
	struct row rows[ARRAY_SIZE(types)];
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		rows[i] = (struct row){ .what = "type",
					.type = types[i],
					.sector = 8,
					.bytes = 512,
					.outcomes = UNSUPPORTED };
	TRY_IN_VAIN(chain_server(state), rows);
	assert_int_equal(client_connect(&client, chain_server(state), NULL), 0);
	assert_false(client.session.offered_features & FE_BIT(BLK_F_SCSI));
	client_close(&client);
}

/* B-12, G-28 */
static void a_flush_may_look_odd(void **state)
{
	static const struct row rows[] = {
		{ "plain", FLUSH, 0, 0, GOES_WELL, { 0 } },
		{ "with data", FLUSH, 0, 512, GOES_WELL, { 0 } },
		{ "with data of odd size", FLUSH, 0, 3, GOES_WELL, { 0 } },
		{ "with a sector", FLUSH, 8, 0, GOES_WELL, { 0 } },
		{ "beyond the disk", FLUSH, UINT64_MAX, 0, GOES_WELL, { 0 } },
		{ "with a barrier", FLUSH | BARRIER, 0, 0, GOES_WELL, { 0 } },
	};

	TRY_IN_VAIN(chain_server(state), rows);
}

/* G-15, B-14, B-25 */
static void get_id_fills_at_most_20_bytes(void **state)
{
	static const struct row rows[] = {
		{ "bytes", GET_ID, 0, 20, GOES_WELL, { 0 } },
		{ "bytes", GET_ID, 0, 19, GOES_WELL, { 0 } },
		{ "bytes", GET_ID, 0, 21, GOES_WELL, { 0 } },
		{ "bytes", GET_ID, 0, 1, GOES_WELL, { 0 } },
		{ "bytes", GET_ID, UINT64_MAX, 4096, GOES_WELL, { 0 } },
		{ "pieces",
		  GET_ID,
		  0,
		  20,
		  GOES_WELL,
		  { .data_piece_bytes = 1 } },
		{ "pieces",
		  GET_ID,
		  0,
		  40,
		  GOES_WELL,
		  { .data_piece_bytes = 7, .join_status = true } },
		{ "bytes", GET_ID, 0, 0, FAILS | UNSUPPORTED, { 0 } },
	};

	TRY_IN_VAIN(chain_server(state), rows);
}

/* B-17, B-18, G-09: what the request says, and what its descriptors have */
static void segments_that_are_not_whole_are_refused(void **state)
{
	const uint32_t sizes[] = { 0, 1, 8, 15, 17, 31, 33 * 16, 64 * 16 };
	struct row rows[2 * ARRAY_SIZE(sizes)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = (struct row){
			.what = i % 2 ? "discard" : "zeroes",
			.type = i % 2 ? DISCARD : ZEROES,
			.bytes = sizes[i / 2],
			.outcomes =
				sizes[i / 2] % 16 ? FAILS : FAILS | UNSUPPORTED,
			.framing.data_piece_bytes = 64,
		};
	TRY_IN_VAIN(chain_server(state), rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(without_a_status_byte_the_ring_is_broken),
		HOSTILE(a_header_too_short_is_an_error),
		HOSTILE(requests_may_be_cut_anywhere),
		HOSTILE(the_status_is_the_last_byte),
		HOSTILE(data_that_is_no_multiple_of_a_sector_is_refused),
		HOSTILE(data_that_is_no_multiple_of_a_block_is_refused),
		HOSTILE(data_in_the_wrong_direction_is_refused),
		HOSTILE(a_write_with_bad_data_changes_nothing),
		HOSTILE(what_lies_beyond_the_disk_is_refused),
		HOSTILE(unknown_types_are_unsupported),
		HOSTILE(a_flush_may_look_odd),
		HOSTILE(get_id_fills_at_most_20_bytes),
		HOSTILE(segments_that_are_not_whole_are_refused),
	};

	return hostile_run("hostile-requests", tests, ARRAY_SIZE(tests));
}
