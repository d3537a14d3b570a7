/* SPDX-License-Identifier: MIT */
/* load - a guest that works all the time, and checks what it reads */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/load.h"
#include "tests/frontend/clock.h"

#define BLOCK_BYTES  4096
#define LANE_SECTORS 2048

/* As many requests as there is room for, all at once. */
static const char *do_round(const struct lane *lane, uint32_t type,
			    uint64_t seed)
{
	struct fe_blk *blk = &lane->load->client.blks[lane->queue];
	struct fe_blk_request *requests[LOAD_DEPTH];
	const char *fault = NULL;

	for (unsigned int i = 0; i < LOAD_DEPTH; i++) {
		requests[i] = fe_blk_get(blk);
		requests[i]->type = type;
		requests[i]->sector = lane->queue * LANE_SECTORS + i * 8;
		requests[i]->data_bytes = BLOCK_BYTES;
		if (type == VIRTIO_BLK_T_OUT)
			client_fill(requests[i]->data, BLOCK_BYTES, seed + i);
		if (fe_blk_add(requests[i]) < 0)
			return "there is no room in the ring";
	}
	fe_vring_submit(blk->vring);
	for (unsigned int i = 0; i < LOAD_DEPTH; i++) {
		if (fe_blk_wait(requests[i], blk->timeout_msec) < 0 ||
		    fe_blk_result(requests[i]) < 0)
			return "a request has failed, or never ends";
		if (type == VIRTIO_BLK_T_IN && lane->load->keeps_data &&
		    !client_filled(requests[i]->data, BLOCK_BYTES, seed + i))
			fault = "what was written is not what is read";
		fe_blk_put(requests[i]);
	}
	return fault;
}

static void *keep_busy(void *opaque)
{
	const struct lane *lane = opaque;
	struct load *load = lane->load;
	const char *fault = NULL;

	for (uint64_t seed = 1; !fault && !atomic_load(&load->ends);
	     seed += LOAD_DEPTH) {
		fault = do_round(lane, VIRTIO_BLK_T_OUT, seed);
		if (!fault)
			fault = do_round(lane, VIRTIO_BLK_T_IN, seed);
		atomic_fetch_add(&load->nr_rounds, 1);
	}
	if (fault)
		atomic_store(&load->fault, fault);
	return NULL;
}

void load_begin(struct load *load, const struct server *server,
		unsigned int nr_queues, bool keeps_data)
{
	const struct client_options options = { .nr_queues = nr_queues };

	memset(load, 0, sizeof(*load));
	load->keeps_data = keeps_data;
	assert_int_equal(client_open(&load->client, server, &options), 0);
	load->nr_threads = nr_queues;
	for (unsigned int i = 0; i < nr_queues; i++) {
		load->lanes[i] = (struct lane){ load, i };
		load->client.blks[i].timeout_msec = FE_PATIENCE_MSEC;
		pthread_create(&load->threads[i], NULL, keep_busy,
			       &load->lanes[i]);
	}
}

void load_end(struct load *load)
{
	const char *fault;

	atomic_store(&load->ends, true);
	for (unsigned int i = 0; i < load->nr_threads; i++)
		pthread_join(load->threads[i], NULL);
	client_close(&load->client);
	fault = atomic_load(&load->fault);
	if (fault)
		fail_msg("%s", fault);
}

void load_goes_on(struct load *load)
{
	unsigned long begun = atomic_load(&load->nr_rounds);

	while (atomic_load(&load->nr_rounds) < begun + 2 * load->nr_threads &&
	       !atomic_load(&load->fault))
		usleep(1000);
}
