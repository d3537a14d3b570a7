/* SPDX-License-Identifier: MIT */
/*
 * hostile-segments - what discard and write-zeroes may be asked for
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

#define DISCARD	      VIRTIO_BLK_T_DISCARD
#define ZEROES	      VIRTIO_BLK_T_WRITE_ZEROES
#define CAPACITY      (SERVER_IMAGE_BYTES / 512u)
#define LARGE_BYTES   (UINT64_C(5) << 30)
#define LARGE_SECTORS 0x800001u

struct segment_row {
	const char *what;
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
	unsigned int discard;
	unsigned int zeroes;
};

static void put_segment(struct chain *chain, unsigned int i,
			const struct segment_row *row)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(row->sector),
		.num_sectors = htole32(row->num_sectors),
		.flags = htole32(row->flags),
	};

	memcpy(chain->request->data + i * sizeof(segment), &segment,
	       sizeof(segment));
}

static void try_segment(struct chain *chain, uint32_t type,
			const struct segment_row *row, unsigned int outcomes)
{
	/* alone, in odd pieces; then as the second of three */
	chain->request->framing.data_piece_bytes = 5;
	chain_cut(chain, type, 0, 16);
	put_segment(chain, 0, row);
	chain_lay(chain);
	chain_try(chain, row->what, type, outcomes);
	chain_cut(chain, type, 0, 48);
	put_segment(chain, 0, &(struct segment_row){ .sector = 4096 });
	put_segment(chain, 1, row);
	put_segment(chain, 2, &(struct segment_row){ .sector = 4096 });
	chain_lay(chain);
	chain_try(chain, row->what, type, outcomes);
}

/* B-17, B-19, B-20, B-21, B-25, G-17, G-09 */
static void segments_are_checked(void **state)
{
	static const struct segment_row rows[] = {
		{ "nothing", 0, 0, 0, GOES_WELL, GOES_WELL },
		{ "last one", CAPACITY - 1, 1, 0, GOES_WELL, GOES_WELL },
		{ "one beyond", CAPACITY, 1, 0, FAILS, FAILS },
		{ "across the end", CAPACITY - 1, 2, 0, FAILS, FAILS },
		{ "all ones", UINT64_MAX, 1, 0, FAILS, FAILS },
		{ "wraps", UINT64_MAX, 2, 0, FAILS, FAILS },
		{ "wraps to 0", UINT64_MAX - 7, 8, 0, FAILS, FAILS },
		{ "2^55", UINT64_C(1) << 55, 1, 0, FAILS, FAILS },
		{ "2^54", UINT64_C(1) << 54, 1, 0, FAILS, FAILS },
		{ "too many", 0, UINT32_MAX, 0, FAILS, FAILS },
		{ "2^23 + 1", 0, 0x800001, 0, FAILS, FAILS },
		{ "unmap", 4096, 1, 1, UNSUPPORTED, GOES_WELL },
		{ "reserved", 0, 1, 2, UNSUPPORTED, UNSUPPORTED },
		{ "reserved", 0, 1, 1u << 31, UNSUPPORTED, UNSUPPORTED },
		{ "all flags", 0, 1, UINT32_MAX, UNSUPPORTED, UNSUPPORTED },
	};
	static struct chain chain;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			try_segment(&chain, DISCARD, &rows[i], rows[i].discard);
			try_segment(&chain, ZEROES, &rows[i], rows[i].zeroes);
		}
		chain_close(&chain);
	}
	probe_verdict();
}

static bool block_holds(const struct server *server, uint64_t offset,
			uint8_t value)
{
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);
	uint8_t bytes[512];

	assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)offset),
			 sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/*
 * G-18: so many sectors that their bytes do not fit into 32 bits are all
 * zeroed, or none is; never a few of them with OK.
 */
static void zeroes_beyond_4_gib_are_written_or_refused(void **state)
{
	const struct server_options large = { .image_bytes = LARGE_BYTES };
	const uint64_t inside[] = { 0, 512, 1024, (UINT64_C(1) << 32) - 512,
				    UINT64_C(1) << 32 };
	const uint64_t behind = (uint64_t)LARGE_SECTORS * 512;
	uint8_t data[512];
	struct client_options options = { 0 };
	struct server server;
	struct client client;
	int error;

	(void)state;
	memset(data, 0xab, sizeof(data));
	assert_int_equal(server_start(&server, &large), 0);
	for (unsigned int k = SPLIT_DIRECT; k < NR_LAYOUTS; k += 2) {
		options.packed = 1u << k & ON_PACKED;
		assert_int_equal(client_open(&client, &server, &options), 0);
		for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
			assert_int_equal(fe_blk_write(&client.blks[0],
						      inside[i] / 512, data,
						      512),
					 0);
		assert_int_equal(fe_blk_write(&client.blks[0], behind / 512,
					      data, 512),
				 0);
		error = fe_blk_write_zeroes(&client.blks[0], 0, LARGE_SECTORS,
					    k == SPLIT_DIRECT);
		assert_true(error == 0 || error == -EIO);
		for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
			assert_true(block_holds(&server, inside[i],
						error ? 0xab : 0));
		assert_true(block_holds(&server, behind, 0xab));
		client_close(&client);
	}
	assert_int_equal(server_stop(&server), 0);
}

/* Blocks at the first sector, the last of so many, and the one behind */
static void write_marks(struct fe_blk *blk, uint64_t nr_sectors)
{
	uint8_t data[512];

	memset(data, 0xab, sizeof(data));
	assert_int_equal(fe_blk_write(blk, 0, data, 512), 0);
	assert_int_equal(fe_blk_write(blk, nr_sectors - 1, data, 512), 0);
	assert_int_equal(fe_blk_write(blk, nr_sectors, data, 512), 0);
}

static void assert_marks(const struct server *server, uint64_t nr_sectors,
			 uint8_t inside)
{
	assert_true(block_holds(server, 0, inside));
	assert_true(block_holds(server, (nr_sectors - 1) * 512, inside));
	assert_true(block_holds(server, nr_sectors * 512, 0xab));
}

static uint32_t max_sectors(struct client *client, uint32_t config_offset)
{
	uint32_t value = 0;

	assert_int_equal(fe_session_get_config(&client->session, config_offset,
					       &value, sizeof(value)),
			 0);
	return le32toh(value);
}

/* B-19, G-18: on a disk that has room for one that is too large */
static void the_largest_segment_is_served_and_no_larger_one(void **state)
{
	const struct server_options large = { .image_bytes = LARGE_BYTES };
	struct server server;
	struct client client;
	struct fe_blk *blk = &client.blks[0];
	uint32_t max;

	(void)state;
	assert_int_equal(server_start(&server, &large), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	max = max_sectors(&client, offsetof(struct virtio_blk_config,
					    max_write_zeroes_sectors));
	assert_in_range(max, 1, LARGE_BYTES / 512 - 2);
	write_marks(blk, max);
	assert_int_equal(fe_blk_write_zeroes(blk, 0, max + 1, false), -EIO);
	assert_marks(&server, max, 0xab);
	assert_int_equal(fe_blk_write_zeroes(blk, 0, max, false), 0);
	assert_marks(&server, max, 0);

	max = max_sectors(&client, offsetof(struct virtio_blk_config,
					    max_discard_sectors));
	assert_in_range(max, 1, LARGE_BYTES / 512 - 2);
	write_marks(blk, max);
	assert_int_equal(fe_blk_discard(blk, 0, max + 1), -EIO);
	assert_marks(&server, max, 0xab);
	assert_int_equal(fe_blk_discard(blk, 0, max), 0);
	assert_true(block_holds(&server, (uint64_t)max * 512, 0xab));
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(segments_are_checked),
		HOSTILE(zeroes_beyond_4_gib_are_written_or_refused),
		HOSTILE(the_largest_segment_is_served_and_no_larger_one),
	};

	return hostile_run("hostile-segments", tests, ARRAY_SIZE(tests));
}
