/* SPDX-License-Identifier: MIT */
/*
 * record - each state in which a dead server may have left a split ring
 *
 * D-03. The test itself is the server that died: it takes requests, executes
 * some, and writes ring and in-flight region step by step, as the document
 * says (vhost-user, Inflight I/O tracking, split virtqueue). It stops at every
 * step of every small number of requests, so that used_idx in the region and
 * the ring's index differ by each number that is allowed. Then a real server
 * takes over: what was completed must not be executed again, all else must be.
 */
#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/crash/crash.h"
#include "tests/frontend/eventfd.h"

#define NR_REQUESTS  4u
#define REGION_BYTES 65536 /* room for the larger, packed layout */

struct desc_state {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct desc_state desc[LOAD_QUEUE_SIZE];
};

/* How far the last batch has got. */
enum step {
	EXECUTED, /* and in the used ring, whose index has not moved */
	PUBLISHED,
	CLEARED, /* some are not marked as in flight any more */
	SETTLED,
	NR_STEPS,
};

struct death {
	unsigned int nr_taken;
	unsigned int nr_before; /* completed before the last batch */
	unsigned int nr_batch;
	enum step step;
};

struct world {
	struct server server;
	struct load load;
	struct death death;
	uint8_t disk[LOAD_DISK_BYTES];
};

static struct fe_vring *ring_of(struct world *world)
{
	return &world->load.client.vrings[0];
}

static struct region *region_of(struct world *world)
{
	return (struct region *)world->load.inflight.bytes;
}

/* Half of the rings are about to begin anew with their index. */
static void set_ring_up(struct world *world, uint16_t start)
{
	struct fe_vring *vring = ring_of(world);

	vring->next_avail = start;
	vring->published = start;
	vring->next_used = start;
	vring->avail->idx = htole16(start);
	vring->used->idx = htole16(start);
}

static void set_region_up(struct world *world, uint16_t start)
{
	struct region *region;

	load_forget_region(&world->load);
	assert_int_equal(fe_inflight_make(&world->load.inflight, REGION_BYTES,
					  1, LOAD_QUEUE_SIZE),
			 0);
	region = region_of(world);
	region->version = 1;
	region->desc_num = LOAD_QUEUE_SIZE;
	region->used_idx = start;
}

/* The head of the request with this number, in the order of the ring. */
static uint16_t head_of(struct world *world, unsigned int number)
{
	const struct fe_vring *vring = ring_of(world);
	uint16_t place = (uint16_t)(vring->published - NR_REQUESTS + number);

	return le16toh(vring->avail->ring[place % vring->size]);
}

static void take(struct world *world, unsigned int number)
{
	struct desc_state *desc =
		&region_of(world)->desc[head_of(world, number)];

	desc->counter = number;
	desc->inflight = 1;
}

static void execute(struct world *world, unsigned int number)
{
	cleanup_close int fd = open(world->server.image, O_WRONLY | O_CLOEXEC);
	struct fe_vring *vring = ring_of(world);
	struct fe_blk_request *request =
		vring->chains[head_of(world, number)].token;

	assert_int_equal(request->type, VIRTIO_BLK_T_OUT);
	assert_int_equal(pwrite(fd, request->data, request->data_bytes,
				(off_t)request->sector * STAMP_BYTES),
			 request->data_bytes);
	*request->status_byte = VIRTIO_BLK_S_OK;
}

/*
 * Complete requests first to last, the youngest of them first, so far as
 * the step says.
 */
static void complete(struct world *world, unsigned int first, unsigned int last,
		     enum step step)
{
	struct region *region = region_of(world);
	struct fe_vring *vring = ring_of(world);
	uint16_t used_idx = le16toh(vring->used->idx);

	for (unsigned int i = last; i-- > first;) {
		uint16_t head = head_of(world, i);

		execute(world, i);
		region->desc[head].next = region->last_batch_head;
		region->last_batch_head = head;
		vring->used->ring[used_idx++ % vring->size] =
			(struct vring_used_elem){ .id = htole32(head),
						  .len = htole32(1) };
	}
	if (step >= PUBLISHED)
		vring->used->idx = htole16(used_idx);
	for (unsigned int i = first; step >= CLEARED && i < last; i++) {
		if (step == SETTLED || i % 2)
			region->desc[head_of(world, i)].inflight = 0;
	}
	if (step >= SETTLED)
		region->used_idx = used_idx;
}

static void look_at_image(struct world *world)
{
	struct load *load = &world->load;

	assert_int_equal(load_read_image(load, world->disk), 0);
	assert_int_equal(judge_check_disk(load->judge, world->disk), 0);
}

static void die(struct world *world)
{
	const struct death *death = &world->death;
	unsigned int before = death->nr_before;
	struct load *load = &world->load;

	for (unsigned int i = 0; i < death->nr_taken; i++)
		take(world, i);
	complete(world, 0, before, SETTLED);
	complete(world, before, before + death->nr_batch, death->step);
	assert_int_equal(load_note_death(load), 0);
	assert_int_equal(load->nr_under_way,
			 NR_REQUESTS - before -
				 (death->step == EXECUTED ? 0 :
							    death->nr_batch));
	look_at_image(world);
}

/* A machine whose ring begins at start loses its server like that. */
static void die_and_recover(struct world *world, uint16_t start)
{
	struct load *load = &world->load;
	uint64_t end = load->nr_ended + NR_REQUESTS;
	uint32_t base;

	assert_int_equal(load_read_image(load, world->disk), 0);
	load_reboot(load, world->disk);
	set_ring_up(world, start);
	set_region_up(world, start);
	assert_int_equal(load_fill(load), 0);
	die(world);
	assert_int_equal(load_connect(load, 0), 0);
	/* a driver that slept knows nothing of what was published */
	assert_true(fe_eventfd_wait(ring_of(world)->call_fd,
				    load->client.session.timeout_msec) > 0);
	assert_int_equal(load_drain(load), 0);
	look_at_image(world);
	assert_int_equal(load->nr_ended, end);
	/* the ring rests before the next machine makes it anew */
	assert_int_equal(fe_session_get_base(&load->client.session, 0, &base),
			 0);
	assert_int_equal(base, (uint16_t)(start + NR_REQUESTS));
}

/* All that fit into the requests that were taken. */
static void die_in_batches(struct world *world, uint16_t start)
{
	struct death *death = &world->death;

	for (death->nr_before = 0; death->nr_before <= death->nr_taken;
	     death->nr_before++) {
		unsigned int rest = death->nr_taken - death->nr_before;

		for (death->nr_batch = 0; death->nr_batch <= rest;
		     death->nr_batch++)
			die_and_recover(world, start);
	}
}

static void die_at_each_step(uint16_t start)
{
	const struct server_options options = { .image_bytes =
							LOAD_DISK_BYTES };
	const struct load_options load_options = {
		.nr_queues = 1,
		.depth = NR_REQUESTS,
		.is_indirect = true,
		.only_writes = true,
		.seed = crash_seed(),
	};
	struct world *world = calloc(1, sizeof(*world));
	struct load *load = &world->load;
	struct death *death = &world->death;

	assert_non_null(world);
	assert_int_equal(server_start(&world->server, &options), 0);
	assert_int_equal(load_open(load, &world->server, &load_options), 0);
	assert_int_equal(load_negotiate(load), 0); /* so that there is a ring */
	for (death->nr_taken = 0; death->nr_taken <= NR_REQUESTS;
	     death->nr_taken++) {
		for (death->step = EXECUTED; death->step < NR_STEPS;
		     death->step++)
			die_in_batches(world, start);
	}
	assert_int_equal(load->nr_failed, 0);
	assert_int_equal(judge_count_all(load->judge), 0);
	load_close(load);
	assert_int_equal(server_stop(&world->server), 0);
	free(world);
}

/* D-03 */
static void each_state_of_a_split_ring_is_recovered(void **state)
{
	(void)state;
	die_at_each_step(0);
}

static void each_state_of_a_ring_whose_index_wraps_is_recovered(void **state)
{
	(void)state;
	die_at_each_step(UINT16_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_of_a_split_ring_is_recovered),
		cmocka_unit_test(
			each_state_of_a_ring_whose_index_wraps_is_recovered),
	};

	if (server_is_missing())
		return 0;
	crash_set_up_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
