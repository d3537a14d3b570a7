/* SPDX-License-Identifier: MIT */
/* hostile-log - what is marked when a guest makes odd chains */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/hostile.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/dirty_log.h"

#define PAGE	     FE_LOG_PAGE_BYTES
#define ARENA_PAGES  64u
#define MEMORY_BYTES (4u << 20)
#define MAX_DATA     62u

/* A client whose data is logged, with room for buffers of any kind */
struct logged {
	struct client client;
	struct fe_dirty_log log; /* twice as large as it is said to be */
	uint64_t arena;
};

static void open_logged(struct logged *logged, const struct server *server)
{
	const struct client_options options = {
		.more_protocol = FE_PROTOCOL_LOG_SHMFD,
		.memory_bytes = MEMORY_BYTES,
		.depth = 1,
	};
	struct client *client = &logged->client;
	uint64_t bytes;

	assert_int_equal(client_connect(client, server, &options), 0);
	assert_int_equal(client_prepare(client, &options), 0);
	assert_int_equal(fe_memory_alloc(&client->memory, 0, ARENA_PAGES * PAGE,
					 PAGE, &logged->arena),
			 0);
	assert_int_equal(client_start(client), 0);
	bytes = fe_dirty_log_bytes(&client->memory);
	assert_int_equal(fe_dirty_log_init(&logged->log, 2 * bytes), 0);
	assert_int_equal(fe_session_set_log_range(&client->session,
						  logged->log.fd, bytes, 0),
			 0);
	assert_int_equal(fe_session_log_data(&client->session, true), 0);
}

static void close_logged(struct logged *logged)
{
	client_close(&logged->client);
	fe_dirty_log_deinit(&logged->log);
}

struct odd_chain {
	unsigned int nr_data;
	struct {
		uint32_t offset; /* in the arena */
		uint32_t bytes;
	} data[MAX_DATA];
};

/*
 * A read or write with these buffers. Returns what it came to; *status: where
 * its status byte is.
 */
static int run_chain(struct logged *logged, const struct odd_chain *chain,
		     uint32_t type, uint64_t *status)
{
	struct fe_blk *blk = &logged->client.blks[0];
	struct fe_blk_request *request = fe_blk_get(blk);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	struct fe_buffer last;
	int error;

	request->type = type;
	request->data_bytes = 512;
	assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
	last = pieces[2];
	*status = last.guest_addr;
	for (unsigned int i = 0; i < chain->nr_data; i++)
		pieces[1 + i] = (struct fe_buffer){
			.guest_addr = logged->arena + chain->data[i].offset,
			.bytes = chain->data[i].bytes,
		};
	pieces[1 + chain->nr_data] = last;
	if (type == VIRTIO_BLK_T_IN)
		buffers.nr_writable = chain->nr_data + 1;
	else
		buffers.nr_readable = chain->nr_data + 1;
	buffers.table = request->table_addr;
	fe_dirty_log_clear(&logged->log);
	assert_true(fe_vring_add(blk->vring, &buffers, request) >= 0);
	blk->nr_under_way++;
	fe_vring_submit(blk->vring);
	error = fe_blk_wait(request, FE_PATIENCE_MSEC);
	if (error)
		return error;
	error = fe_blk_result(request);
	fe_blk_put(request);
	return error;
}

/* True for a page of the status byte or of data that was written. */
static bool is_written(const struct logged *logged,
		       const struct odd_chain *chain, uint32_t type,
		       uint64_t status, uint64_t page)
{
	if (status / PAGE == page)
		return true;
	for (unsigned int i = 0; i < chain->nr_data; i++) {
		uint64_t first = logged->arena + chain->data[i].offset;
		uint64_t behind = first + chain->data[i].bytes;

		if (type == VIRTIO_BLK_T_IN && chain->data[i].bytes &&
		    page >= first / PAGE && page <= (behind - 1) / PAGE)
			return true;
	}
	return false;
}

/*
 * A packed ring is guest memory like any other, and marked where the device
 * has written to it; the parts of the rings here share their pages.
 */
static bool is_ring(const struct logged *logged, uint64_t page)
{
	const struct fe_vring *vring = &logged->client.vrings[0];

	return vring->is_packed && page >= vring->desc_addr / PAGE &&
	       page <= vring->used_addr / PAGE;
}

static void expect_marks(const struct logged *logged,
			 const struct odd_chain *chain, uint32_t type,
			 uint64_t status)
{
	for (uint64_t page = 0; page < logged->log.bytes * 8; page++) {
		bool should = is_written(logged, chain, type, status, page);

		if (!is_ring(logged, page) &&
		    fe_dirty_log_has(&logged->log, page * PAGE) != should)
			probe_expect("page", page, should ? -ENOENT : -EEXIST,
				     PROBE_OK);
	}
}

/* F-10, F-09: bytes of none, of one, across pages, in sixty pages, of a write */
static void exactly_what_odd_chains_write_is_marked(void **state)
{
	static struct odd_chain chains[] = {
		{ 1, { { 0, 512 } } },
		{ 2, { { 0, 0 }, { PAGE, 512 } } },
		{ 3, { { PAGE, 512 }, { 3 * PAGE, 0 }, { 5 * PAGE - 1, 0 } } },
		{ 2, { { 2 * PAGE - 1, 1 }, { 3 * PAGE, 511 } } },
		{ 2, { { 3 * PAGE, 1 }, { 5 * PAGE - 511, 511 } } },
		{ 1, { { 4 * PAGE - 256, 512 } } },
		{ 1, { { PAGE - 1, 3 * PAGE } } },
		{ 2, { { PAGE, 256 }, { PAGE, 256 } } },
		{ 60, { { 0, 0 } } },
	};
	struct odd_chain *many = &chains[ARRAY_SIZE(chains) - 1];
	struct hostile *hostile = *state;
	struct logged logged;
	uint64_t status;

	for (unsigned int i = 0; i < 60; i++) {
		many->data[i].offset = i * PAGE + 7 * i;
		many->data[i].bytes = i ? 8 : 512 - 59 * 8;
	}
	open_logged(&logged, &hostile->server);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		for (uint32_t type = 0; type < 2; type++) {
			probe_expect("chain", i,
				     run_chain(&logged, &chains[i], type,
					       &status),
				     PROBE_OK);
			expect_marks(&logged, &chains[i], type, status);
		}
	}
	close_logged(&logged);
	probe_verdict();
}

/*
 * F-10: lengths that no memory has. Nothing is written, so at most what they
 * claim of the guest's memory is marked, and never anything beyond.
 */
static void wild_lengths_mark_nothing_else(void **state)
{
	static const struct odd_chain chains[] = {
		{ 1, { { 0, 0xffffffff } } },
		{ 2, { { 0, 512 }, { 0, 0xffffffff } } },
		{ 2, { { 0, 0x80000000 }, { 0, 0x80000000 } } },
		{ 1, { { 0, 8u << 20 } } },
		{ 1, { { 0, 513 } } },
	};
	struct hostile *hostile = *state;
	struct logged logged;
	uint64_t status;
	int outcome;

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		open_logged(&logged, &hostile->server);
		outcome = run_chain(&logged, &chains[i], VIRTIO_BLK_T_IN,
				    &status);
		if (outcome != -EPIPE)
			probe_expect("chain", i, outcome, -EIO);
		for (uint64_t at = 0; at < logged.log.bytes * 8 * PAGE;
		     at += PAGE)
			if ((at < logged.arena || at >= MEMORY_BYTES) &&
			    at / PAGE != status / PAGE &&
			    !is_ring(&logged, at / PAGE) &&
			    fe_dirty_log_has(&logged.log, at))
				probe_expect("page", at / PAGE, -EEXIST,
					     PROBE_OK);
		close_logged(&logged);
	}
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(exactly_what_odd_chains_write_is_marked),
		HOSTILE(wild_lengths_mark_nothing_else),
	};

	return hostile_run("hostile-log", tests, ARRAY_SIZE(tests));
}
