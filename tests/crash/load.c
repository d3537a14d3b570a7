/* SPDX-License-Identifier: MIT */
/*
 * load - a driver with many requests under way, of which the judge knows all
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/crash/load.h"
#include "tests/frontend/clock.h"

#define MEMORY_BYTES (16u << 20)
#define HOT_SECTORS  64u /* where every other request goes */
#define PIECE_BYTES  1024u
#define NO_BASE_PACKED                                                         \
	0x80008000u /* as a VMM says for a back-end that died: at the start */

unsigned int load_random(struct load *load, unsigned int limit)
{
	return (unsigned int)rand_r(&load->seed) % limit;
}

int load_open(struct load *load, const struct server *server,
	      const struct load_options *options)
{
	memset(load, 0, sizeof(*load));
	load->options = *options;
	load->server = server;
	load->seed = options->seed;
	load->client.session.sock = -1;
	fe_inflight_init(&load->inflight);
	return judge_create(LOAD_SECTORS, options->cache, &load->judge);
}

void load_close(struct load *load)
{
	client_close(&load->client);
	fe_inflight_deinit(&load->inflight);
	judge_destroy(load->judge);
	load->judge = NULL;
}

static uint64_t features_of(const struct load *load)
{
	uint64_t features = FE_USUAL_FEATURES;

	if (load->options.is_packed)
		features |= FE_FEATURE_PACKED;
	if (load->options.refuses_flush)
		features &= ~(FE_BIT(VIRTIO_BLK_F_FLUSH) |
			      FE_BIT(VIRTIO_BLK_F_CONFIG_WCE));
	return features;
}

static void name_slots(struct load *load)
{
	for (unsigned int q = 0; q < load->options.nr_queues; q++) {
		for (unsigned int i = 0; i < load->options.depth; i++) {
			struct load_slot *slot = &load->slots[q][i];

			slot->queue = q;
			slot->number = i;
			load->client.blks[q].slots[i].user = slot;
		}
	}
}

/* Rings and buffers, once the features are known. */
static int prepare(struct load *load)
{
	const struct client_options options = {
		.nr_queues = load->options.nr_queues,
		.queue_size = LOAD_QUEUE_SIZE,
		.depth = load->options.depth,
		.data_bytes = LOAD_MAX_SECTORS * STAMP_BYTES,
		.memory_bytes = MEMORY_BYTES,
	};
	int error = client_prepare(&load->client, &options);

	if (error)
		return error;
	load->is_prepared = true;
	name_slots(load);
	return 0;
}

int load_negotiate(struct load *load)
{
	struct fe_session *session = &load->client.session;
	int error;

	fe_session_deinit(session);
	error = fe_session_connect(session, load->server->socket);
	if (!error)
		error = fe_session_negotiate(session, features_of(load),
					     FE_USUAL_PROTOCOL);
	if (!error && !(session->protocol & FE_PROTOCOL_INFLIGHT))
		error = -EOPNOTSUPP;
	if (!error && !load->is_prepared)
		error = prepare(load);
	if (!error)
		error = fe_session_set_memory(session, &load->client.memory);
	return error;
}

int load_show_region(struct load *load)
{
	struct fe_session *session = &load->client.session;
	int error = 0;

	if (load->inflight.fd < 0)
		error = fe_session_get_inflight(
			session, (uint16_t)load->options.nr_queues,
			LOAD_QUEUE_SIZE, &load->inflight);
	if (!error)
		error = fe_session_set_inflight(session, &load->inflight);
	return error;
}

int load_start(struct load *load, unsigned int nr_queues)
{
	uint32_t base = load->options.is_packed ? NO_BASE_PACKED : 0;
	struct client *client = &load->client;
	int error = 0;

	if (!nr_queues)
		nr_queues = load->options.nr_queues;
	for (unsigned int q = 0; q < nr_queues && !error; q++)
		error = fe_session_start_vring(&client->session,
					       &client->vrings[q], q, base);
	return error;
}

int load_connect(struct load *load, unsigned int nr_queues)
{
	int error = load_negotiate(load);

	if (!error)
		error = load_show_region(load);
	if (!error)
		error = load_start(load, nr_queues);
	return error;
}

/* Three of five write; of the others half read. */
static uint32_t choose_type(struct load *load)
{
	unsigned int chance = load_random(load, 100);
	bool may_flush = !load->options.refuses_flush;

	if (chance < 60 || load->options.only_writes)
		return VIRTIO_BLK_T_OUT;
	if (chance < 80)
		return VIRTIO_BLK_T_IN;
	if (chance < 88)
		return may_flush ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT;
	return chance < 96 ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD;
}

static enum judge_op op_of(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_OUT:
		return JUDGE_WRITE;
	case VIRTIO_BLK_T_IN:
		return JUDGE_READ;
	case VIRTIO_BLK_T_FLUSH:
		return JUDGE_FLUSH;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return JUDGE_WRITE_ZEROES;
	default:
		return JUDGE_DISCARD;
	}
}

static void stamp_buffer(struct fe_blk_request *request, bool is_spent)
{
	const struct load_slot *slot = request->user;
	const struct stamp stamp = {
		.sequence = slot->sequence,
		.sector = request->sector,
		.writer = stamp_writer(slot->queue, slot->number),
		.is_spent = is_spent,
	};

	stamp_write_run(&stamp, request->data, LOAD_MAX_SECTORS);
}

static void fill_in(struct load *load, struct fe_blk_request *request,
		    uint32_t nr_sectors)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(request->sector),
		.num_sectors = htole32(nr_sectors),
	};

	stamp_buffer(request, request->type != VIRTIO_BLK_T_OUT);
	request->data_bytes = nr_sectors * STAMP_BYTES;
	if (request->type == VIRTIO_BLK_T_FLUSH)
		request->data_bytes = 0;
	if (request->type == VIRTIO_BLK_T_WRITE_ZEROES && load_random(load, 2))
		segment.flags = htole32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	if (request->type == VIRTIO_BLK_T_WRITE_ZEROES ||
	    request->type == VIRTIO_BLK_T_DISCARD) {
		memcpy(request->data, &segment, sizeof(segment));
		request->data_bytes = sizeof(segment);
		request->sector = 0;
	}
}

static int add_one(struct load *load, struct fe_blk_request *request)
{
	struct load_slot *slot = request->user;
	uint32_t nr_sectors = 1 + load_random(load, LOAD_MAX_SECTORS);
	unsigned int end = load_random(load, 2) ? HOT_SECTORS : LOAD_SECTORS;

	request->type = choose_type(load);
	request->sector = load_random(load, end - nr_sectors + 1);
	if (request->type == VIRTIO_BLK_T_FLUSH)
		request->sector = 0;
	request->framing = (struct fe_framing){
		.indirect = load->options.is_indirect && load_random(load, 2),
		.data_piece_bytes = load_random(load, 2) ? PIECE_BYTES : 0,
	};
	slot->type = request->type;
	slot->sequence = judge_begin(load->judge, op_of(request->type),
				     request->sector, nr_sectors);
	slot->is_under_way = true;
	slot->is_owed = false;
	load->nr_under_way++;
	fill_in(load, request, nr_sectors);
	return fe_blk_add(request);
}

int load_fill(struct load *load)
{
	int error = 0;

	for (unsigned int q = 0; q < load->options.nr_queues; q++) {
		struct fe_blk *blk = &load->client.blks[q];

		for (unsigned int i = 0; i < load->options.depth; i++) {
			if (!load->slots[q][i].is_under_way && !error)
				error = add_one(load, &blk->slots[i]);
		}
		fe_vring_submit(blk->vring);
	}
	return error;
}

static void finish_one(struct load *load, struct fe_blk_request *request)
{
	struct load_slot *slot = request->user;
	int result = fe_blk_result(request);

	if (slot->type == VIRTIO_BLK_T_IN && !result && !load->options.forgets)
		judge_check_read(load->judge, slot->sequence, request->data);
	judge_end(load->judge, slot->sequence, result);
	/* what a buffer holds from now on must never get to the disk */
	stamp_buffer(request, true);
	slot->is_under_way = false;
	load->nr_under_way--;
	load->nr_owed -= slot->is_owed;
	load->nr_ended++;
	load->nr_failed += result != 0;
}

static int turn_queue(struct load *load, struct fe_blk *blk, bool goes_on,
		      uint64_t *nr_ended)
{
	struct fe_blk_request *request;
	bool has_added = false;
	int error = 0;
	int ret;

	while (!error && (ret = fe_blk_reap(blk, &request)) != 0) {
		if (ret < 0) {
			/* there is no request that the judge could know */
			judge_end(load->judge, 0, 0);
			return ret;
		}
		finish_one(load, request);
		(*nr_ended)++;
		has_added = goes_on;
		if (goes_on)
			error = add_one(load, request);
	}
	if (has_added)
		fe_vring_submit(blk->vring);
	return error;
}

int load_turn(struct load *load, bool goes_on, uint64_t *nr_ended)
{
	int error = 0;

	for (unsigned int q = 0; q < load->options.nr_queues && !error; q++)
		error = turn_queue(load, &load->client.blks[q], goes_on,
				   nr_ended);
	return error;
}

/*
 * Sleep until there is a used entry, as a driver with interrupts does: one
 * that was left in a ring without a notification would wait for ever.
 */
static int wait_for_used(struct load *load, uint64_t deadline)
{
	struct client *client = &load->client;
	struct pollfd pollfds[CLIENT_MAX_QUEUES + 1];
	unsigned int nr = load->options.nr_queues;

	for (unsigned int q = 0; q < nr; q++) {
		if (fe_vring_expect_calls(&client->vrings[q]))
			return 0;
		pollfds[q] = (struct pollfd){
			.fd = client->vrings[q].call_fd,
			.events = POLLIN,
		};
	}
	pollfds[nr] = (struct pollfd){
		.fd = client->session.sock,
		.events = POLLRDHUP,
	};
	if (poll(pollfds, nr + 1, fe_remaining_msec(deadline)) == 0)
		return -ETIMEDOUT;
	for (unsigned int q = 0; q < nr; q++) {
		if (pollfds[q].revents)
			rh_eventfd_drain(client->vrings[q].call_fd);
	}
	return pollfds[nr].revents ? -ECONNRESET : 0;
}

/* One look; waits if there is nothing. */
static int look(struct load *load, bool goes_on, uint64_t *deadline)
{
	uint64_t nr = 0;
	int error = load_turn(load, goes_on, &nr);

	if (error)
		return error;
	if (!nr)
		return wait_for_used(load, *deadline);
	*deadline = fe_deadline(FE_PATIENCE_MSEC);
	return 0;
}

int load_run(struct load *load, uint64_t nr_ended, bool goes_on)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint64_t end = load->nr_ended + nr_ended;
	int error = 0;

	while (load->nr_ended < end && !error)
		error = look(load, goes_on, &deadline);
	return error;
}

int load_run_recovery(struct load *load, unsigned int nr_owed, bool goes_on)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int error = 0;

	while (load->nr_owed > nr_owed && !error)
		error = look(load, goes_on, &deadline);
	return error;
}

int load_drain(struct load *load)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int error = 0;

	while (load->nr_under_way && !error)
		error = look(load, false, &deadline);
	judge_check_idle(load->judge);
	return error;
}

int load_note_death(struct load *load)
{
	uint64_t nr_ended = 0;
	int error = load_turn(load, false, &nr_ended);

	load->nr_still_owed = load->nr_owed;
	for (unsigned int q = 0; q < load->options.nr_queues; q++) {
		for (unsigned int i = 0; i < load->options.depth; i++) {
			struct load_slot *slot = &load->slots[q][i];

			slot->is_owed = slot->is_under_way;
		}
	}
	load->nr_owed = load->nr_under_way;
	return error;
}

void load_reboot(struct load *load, const void *disk)
{
	judge_restart(load->judge, disk);
	for (unsigned int q = 0; q < load->options.nr_queues; q++) {
		struct fe_blk *blk = &load->client.blks[q];

		fe_vring_reset(blk->vring);
		blk->nr_under_way = 0;
		for (unsigned int i = 0; i < load->options.depth; i++) {
			load->slots[q][i].is_under_way = false;
			load->slots[q][i].is_owed = false;
			stamp_buffer(&blk->slots[i], true);
		}
	}
	load->nr_under_way = 0;
	load->nr_owed = 0;
}

void load_forget_region(struct load *load)
{
	fe_inflight_deinit(&load->inflight);
}

int load_read_image(const struct load *load, void *disk)
{
	cleanup_close int fd = open(load->server->image, O_RDONLY | O_CLOEXEC);
	ssize_t nr;

	if (fd < 0)
		return -errno;
	nr = pread(fd, disk, LOAD_DISK_BYTES, 0);
	if (nr < 0)
		return -errno;
	return nr == LOAD_DISK_BYTES ? 0 : -EIO;
}
