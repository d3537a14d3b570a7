/* SPDX-License-Identifier: MIT */
/*
 * hostile-guest - guests that want too much, too often or at a wrong moment
 *
 * Where it takes very many of something to do harm, there are as many as a
 * second or two allow, and all of them where RINGHOST_SOAK is set.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/chain.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define FULL_SIZE 16
#define SOON_USEC 50000
#define NR_LOOKS  5

/* As many chains as the ring takes at once: in tables, or of two pieces each */
static int fill(struct fe_blk *blk, bool indirect)
{
	struct fe_blk_request *request;
	int error = 0;

	while (!error && (request = fe_blk_get(blk))) {
		request->data_bytes = 512;
		request->framing.join_status = true;
		request->framing.indirect = indirect;
		error = fe_blk_add(request);
	}
	fe_vring_submit(blk->vring);
	return error;
}

static int drain(struct fe_blk *blk)
{
	struct fe_blk_request *request;
	int error = 0;

	while (blk->nr_under_way && !error) {
		error = fe_vring_wait(blk->vring, FE_PATIENCE_MSEC);
		while (!error && fe_blk_reap(blk, &request) > 0) {
			error = fe_blk_result(request);
			fe_blk_put(request);
		}
	}
	return error;
}

static void open_layout(struct client *client, const struct server *server,
			enum layout layout, struct client_options options)
{
	options.packed = 1u << layout & ON_PACKED;
	if (!options.packed)
		options.refused_features |= FE_FEATURE_PACKED;
	assert_int_equal(client_open(client, server, &options), 0);
	assert_int_equal(client->vrings[0].is_packed, options.packed);
}

/*
 * R-02, G-25, G-02: all entries are served, and as often as the guest likes:
 * what the server holds for a queue does not grow with what is asked of it.
 */
static void a_full_ring_is_served_and_costs_no_memory(void **state)
{
	const struct server *server = chain_server(state);
	unsigned int nr_rounds = hostile_volume(200, 100000);
	struct footprint before;
	struct client client;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		bool indirect = 1u << k & ON_TABLE;
		const struct client_options options = {
			.queue_size = FULL_SIZE,
			.depth = indirect ? FULL_SIZE : FULL_SIZE / 2,
			.data_bytes = 4096,
		};

		assert_int_equal(client_footprint(server, &before), 0);
		open_layout(&client, server, (enum layout)k, options);
		for (unsigned int i = 0; i < nr_rounds; i++) {
			assert_int_equal(fill(&client.blks[0], indirect), 0);
			assert_int_equal(client.vrings[0].nr_free, 0);
			assert_int_equal(drain(&client.blks[0]), 0);
		}
		client_close(&client);
		assert_true(client_footprint_same(server, &before));
	}
}

/* G-25, R-29: packed rings of any size, full of tables over and over */
static void full_rings_of_odd_sizes_are_served(void **state)
{
	const uint32_t sizes[] = { 1, 2, 3, 5, 31, 1000, 1024 };
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct client_options options = {
			.queue_size = sizes[i],
			.depth = MIN(sizes[i], 64u),
			.data_bytes = 512,
		};

		open_layout(&client, chain_server(state), PACKED_INDIRECT,
			    options);
		for (unsigned int round = 0; round < 40; round++) {
			assert_int_equal(fill(&client.blks[0], true), 0);
			assert_int_equal(drain(&client.blks[0]), 0);
		}
		client_close(&client);
	}
}

/* What costs an answer, and what costs the ring */
static void put_data_outside(struct chain *chain)
{
	chain->pieces[1].addr = CHAIN_MEMORY_END;
}

static void write_first(struct chain *chain)
{
	struct piece data = chain->pieces[1];

	chain_remove(chain, 1);
	chain_insert(chain, 0, data);
}

static void cut_header(struct chain *chain)
{
	chain->pieces[0].bytes = 15;
}

static void ask_beyond(struct chain *chain)
{
	chain_cut(chain, VIRTIO_BLK_T_OUT, UINT64_MAX, CHAIN_DATA_BYTES);
}

static void ask_for_nothing_known(struct chain *chain)
{
	chain_cut(chain, 77, 0, CHAIN_DATA_BYTES);
}

static void hide_status(struct chain *chain)
{
	chain->pieces[2].addr = CHAIN_MEMORY_END;
}

static void hide_header(struct chain *chain)
{
	chain->pieces[0].addr = CHAIN_MEMORY_END;
}

static const struct {
	void (*shape)(struct chain *chain);
	unsigned int outcome;
} errors[] = {
	{ put_data_outside, FAILS },
	{ write_first, FAILS },
	{ cut_header, FAILS },
	{ ask_beyond, FAILS },
	{ ask_for_nothing_known, UNSUPPORTED },
	{ hide_status, BREAKS },
	{ hide_header, BREAKS },
};

/* G-20, G-22: they lose no slot, and leave nothing behind */
static void ten_thousand_errors_lose_nothing(void **state)
{
	const struct server *server = chain_server(state);
	unsigned int nr = hostile_volume(100, 10000);
	static struct chain chain;
	struct footprint before;

	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, server, (enum layout)k);
		for (unsigned int i = 0; i < nr * ARRAY_SIZE(errors); i++) {
			unsigned int e = i / nr;

			chain_cut(&chain, VIRTIO_BLK_T_IN, CHAIN_SECTOR,
				  CHAIN_DATA_BYTES);
			errors[e].shape(&chain);
			chain_lay(&chain);
			chain_push(&chain);
			assert_int_equal(chain_wait(&chain), errors[e].outcome);
			if (i % nr == nr - 1)
				assert_int_equal(chain_check(&chain), 0);
		}
		chain_close(&chain);
	}
	assert_true(client_footprint_same(server, &before));
}

struct flood {
	struct client *client;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_done;
	int error;
};

/*
 * Requests that need no storage are answered at once, and there are always
 * more: whoever serves a ring till it is empty never comes to another one.
 */
static void *flood(void *opaque)
{
	struct flood *flood = opaque;
	struct fe_blk *blk = &flood->client->blks[0];
	struct fe_blk_request *request;
	int ret = 0;

	fe_vring_suppress_calls(blk->vring);
	while (ret >= 0 && !atomic_load(&flood->stop)) {
		while (ret >= 0 && (request = fe_blk_get(blk))) {
			request->type = VIRTIO_BLK_T_GET_ID;
			request->data_bytes = 20;
			request->framing.indirect = true;
			ret = fe_blk_add(request);
		}
		fe_vring_submit(blk->vring);
		while (ret >= 0 && (ret = fe_blk_reap(blk, &request)) > 0) {
			fe_blk_put(request);
			atomic_fetch_add(&flood->nr_done, 1);
		}
	}
	flood->error = MIN(ret, 0);
	return NULL;
}

/* Returns how many of these I/Os of queue 1 took longer than SOON_USEC. */
static unsigned int count_late(struct client *client, unsigned int nr)
{
	unsigned int nr_late = 0;
	uint8_t data[512];
	uint64_t begin;

	for (unsigned int i = 0; i < nr; i++) {
		begin = fe_now_usec();
		assert_int_equal(fe_blk_read(&client->blks[1], i, data, 512),
				 0);
		nr_late += fe_now_usec() - begin > SOON_USEC;
	}
	return nr_late;
}

/*
 * G-19. How late a single one is depends on what else the machine does; not
 * so, whether most of them are, whenever one looks.
 */
static void a_flooding_queue_holds_up_no_other(void **state)
{
	const struct client_options options = {
		.nr_queues = 2,
		.depth = CLIENT_QUEUE_SIZE,
		.data_bytes = 512,
	};
	const struct server *server = chain_server(state);
	unsigned int nr = hostile_volume(100, 20000);
	struct client client;
	unsigned int nr_late;

	for (unsigned int k = SPLIT_INDIRECT; k < NR_LAYOUTS; k += 2) {
		struct flood guest = { .client = &client };

		open_layout(&client, server, (enum layout)k, options);
		assert_int_equal(
			pthread_create(&guest.thread, NULL, flood, &guest), 0);
		while (!atomic_load(&guest.nr_done))
			usleep(100);
		nr_late = nr;
		for (int i = 0; i < NR_LOOKS && nr_late > nr / 2; i++)
			nr_late = count_late(&client, nr);
		assert_in_range(nr_late, 0, nr / 2);
		atomic_store(&guest.stop, true);
		pthread_join(guest.thread, NULL);
		assert_int_equal(guest.error, 0);
		assert_int_equal(drain(&client.blks[0]), 0);
		client_close(&client);
	}
}

/* Nothing of what was pushed has been done, though the other queue goes on. */
static void assert_not_served(struct chain *chain)
{
	fe_vring_kick(chain->vring);
	assert_int_equal(client_check_io(&chain->client, 1, 3), 0);
	assert_int_equal(*chain->request->status_byte, FE_BLK_NO_STATUS);
	assert_false(fe_vring_has_used(chain->vring));
}

static void expect_served(struct chain *chain)
{
	probe_expect(layout_names[chain->layout], 0,
		     chain_wait(chain) == GOES_WELL ? 0 : -EIO, 0);
}

/* The chain that was laid last gets a head, or an id, beyond the ring, or its own. */
static void spoil(struct chain *chain, bool spoilt)
{
	struct fe_vring *vring = chain->vring;
	uint16_t number = spoilt ? (uint16_t)vring->size : 0;

	if (chain_is_packed(chain))
		chain_set_id(chain, chain_is_indirect(chain) ? CHAIN_TABLE : 2,
			     number);
	else
		vring->avail->ring[(vring->next_avail - 1u) % vring->size] =
			htole16(number);
}

/* a broken ring stays so, even if what broke it is mended */
static void kicks_of_a_broken_ring_do_nothing(void **state)
{
	static struct chain chain;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		chain_lay(&chain);
		spoil(&chain, true);
		chain_push(&chain);
		assert_int_equal(fe_vring_wait(chain.vring, FE_PATIENCE_MSEC),
				 -EPIPE);
		spoil(&chain, false);
		assert_not_served(&chain);
		chain_close(&chain);
	}
}

/* R-30, G-26: kicked while it is stopped, and while it is not enabled */
static void kicks_of_a_ring_that_does_not_run_wait_for_it(void **state)
{
	static struct chain chain;
	struct fe_session *session = &chain.client.session;
	uint32_t base;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		base = fe_vring_base(chain.vring);
		assert_int_equal(
			fe_session_get_base(session, 0, &(uint32_t){ 0 }), 0);
		chain_lay(&chain);
		chain_push(&chain);
		assert_not_served(&chain);
		assert_int_equal(fe_session_start_vring(session, chain.vring, 0,
							base),
				 0);
		expect_served(&chain);

		assert_int_equal(fe_session_set_state(
					 session, FE_SET_VRING_ENABLE, 0, 0),
				 0);
		chain_lay(&chain);
		chain_push(&chain);
		assert_not_served(&chain);
		assert_int_equal(fe_session_set_state(
					 session, FE_SET_VRING_ENABLE, 0, 1),
				 0);
		expect_served(&chain);
		chain_close(&chain);
	}
	probe_verdict();
}

/*
 * G-26: with as many requests as the ring takes and a call asked for behind
 * each one in turn, that call comes, once all before it are done; and so at
 * each place of the ring.
 */
static void a_call_comes_wherever_it_was_asked_for(void **state)
{
	const struct client_options options = {
		.queue_size = FULL_SIZE,
		.depth = FULL_SIZE,
		.data_bytes = 512,
	};
	unsigned int nr_rounds = hostile_volume(8, 20000);
	struct client client;
	struct fe_blk *blk = &client.blks[0];
	struct fe_blk_request *request;

	for (unsigned int k = SPLIT_INDIRECT; k < NR_LAYOUTS; k += 2) {
		open_layout(&client, chain_server(state), (enum layout)k,
			    options);
		assert_true(client.vrings[0].event_idx);
		for (unsigned int i = 0; i < nr_rounds * FULL_SIZE; i++) {
			uint16_t behind = (uint16_t)(i % FULL_SIZE);

			/* a call of the round before is none of this one */
			assert_int_equal(client_settle(&client, 0), 0);
			fe_vring_expect_calls_behind(blk->vring, behind);
			assert_int_equal(fill(blk, true), 0);
			assert_true(fe_eventfd_wait(blk->vring->call_fd,
						    FE_PATIENCE_MSEC) > 0);
			for (unsigned int n = 0; n <= behind; n++) {
				assert_int_equal(fe_blk_reap(blk, &request), 1);
				fe_blk_put(request);
			}
			assert_int_equal(drain(blk), 0);
			/* so that the next round begins at another place */
			assert_int_equal(fe_blk_flush(blk), 0);
		}
		client_close(&client);
	}
}

/* G-26: One request after the other, each side asleep between them */
static void no_wake_up_is_lost(void **state)
{
	const struct client_options options = { .depth = 1 };
	unsigned int nr = hostile_volume(200, 10000000);
	struct client client;

	for (unsigned int k = SPLIT_DIRECT; k < NR_LAYOUTS; k++) {
		struct client_options without = options;

		open_layout(&client, chain_server(state), (enum layout)k,
			    options);
		assert_int_equal(client_load(&client, 0, nr), 0);
		client_close(&client);
		without.refused_features = FE_FEATURE_EVENT_IDX;
		open_layout(&client, chain_server(state), (enum layout)k,
			    without);
		assert_int_equal(client_load(&client, 0, nr), 0);
		client_close(&client);
	}
}

static void scribble(struct fe_vring *vring, unsigned int seed)
{
	uint16_t word = htole16((uint16_t)(seed * 40503));

	if (vring->is_packed) {
		*vring->packed.driver = (struct vring_packed_desc_event){
			.off_wrap = word,
			.flags = htole16((uint16_t)seed),
		};
		*vring->packed.device = (struct vring_packed_desc_event){
			.off_wrap = htole16((uint16_t)~le16toh(word)),
			.flags = htole16((uint16_t)(seed / 4)),
		};
		return;
	}
	vring->avail->flags = htole16((uint16_t)(seed << 1 | seed >> 9));
	vring->avail->ring[vring->size] = word; /* used_event */
	vring->used->flags = htole16((uint16_t)~seed);
	*(uint16_t *)&vring->used->ring[vring->size] = word; /* avail_event */
	memset(&vring->used->ring[(vring->next_used + 1) % vring->size], 0xff,
	       sizeof(vring->used->ring[0]));
}

/*
 * With another used index than its own before it, the device goes on where it
 * was, and the next answer is behind its last one.
 */
static void assert_it_knows_its_place(struct chain *chain)
{
	volatile uint8_t *status = chain->request->status_byte;
	struct vring_used *used = chain->vring->used;
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint16_t place = le16toh(used->idx);
	uint32_t base;

	used->idx = htole16((uint16_t)(place + 100));
	chain_lay(chain);
	chain_push(chain);
	while (*status == FE_BLK_NO_STATUS) {
		assert_true(fe_now_usec() < deadline);
		usleep(50);
	}
	assert_int_equal(fe_session_get_base(&chain->client.session, 0, &base),
			 0);
	assert_int_equal(base, chain->vring->published);
	assert_int_equal(le16toh(used->idx), (uint16_t)(place + 1));
	assert_int_equal(le32toh(used->ring[place % chain->vring->size].len),
			 chain->used_when_well);
}

/*
 * virtio 1.3, 2.7.7.2, 2.7.8, 2.8.14: what the guest writes there
 * hurts only itself, since the device has copies of its own.
 */
static void events_flags_and_the_used_ring_may_be_scribbled_on(void **state)
{
	static struct chain chain;
	struct fe_vring *vring = &chain.client.vrings[0];

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		for (unsigned int i = 0; i < 300; i++) {
			scribble(vring, i);
			assert_int_equal(chain_check(&chain), 0);
		}
		if (!vring->is_packed)
			assert_it_knows_its_place(&chain);
		assert_int_equal(client_check_io(&chain.client, 1, 1), 0);
		chain_close(&chain);
	}
}

/* R-16, G-28: some drivers do, and it is clear what they mean */
static void a_table_works_though_none_was_negotiated(void **state)
{
	const struct client_options options = {
		.refused_features = FE_FEATURE_INDIRECT,
	};
	struct client client;

	for (unsigned int k = SPLIT_INDIRECT; k < NR_LAYOUTS; k += 2) {
		open_layout(&client, chain_server(state), (enum layout)k,
			    options);
		client.blks[0].framing.indirect = true;
		assert_int_equal(client_check_io(&client, 0, 1), 0);
		client_close(&client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(a_full_ring_is_served_and_costs_no_memory),
		HOSTILE(full_rings_of_odd_sizes_are_served),
		HOSTILE(ten_thousand_errors_lose_nothing),
		HOSTILE(a_flooding_queue_holds_up_no_other),
		HOSTILE(kicks_of_a_broken_ring_do_nothing),
		HOSTILE(kicks_of_a_ring_that_does_not_run_wait_for_it),
		HOSTILE(a_call_comes_wherever_it_was_asked_for),
		HOSTILE(no_wake_up_is_lost),
		HOSTILE(events_flags_and_the_used_ring_may_be_scribbled_on),
		HOSTILE(a_table_works_though_none_was_negotiated),
	};

	return hostile_run("hostile-guest", tests, ARRAY_SIZE(tests));
}
