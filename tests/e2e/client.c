/* SPDX-License-Identifier: MIT */
/*
 * client - a whole VM's side of a disk, ready for I/O in one call
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/client.h"
#include "tests/e2e/sanitizer.h"
#include "tests/frontend/clock.h"

#define SECTOR_BYTES 512

/*
 * A sanitizer's allocator keeps what was freed, on purpose, or maps notes of
 * its own about memory; that of addresses finds leaks by itself, at the end.
 */
#define FRESH_TRIES 5
#ifdef WITH_SANITIZER
#define FOOTPRINT_MAPS	1000
#define FRESH_MSEC	5000
#define FOOTPRINT_BYTES (1 << 30)
#else
#define FOOTPRINT_MAPS	4
#define FRESH_MSEC	1000
#define FOOTPRINT_BYTES (4 << 20)
#endif

static const struct client_options usual;

bool client_rings_are_packed(void)
{
	const char *rings = getenv("RINGS");

	return rings && strcmp(rings, "packed") == 0;
}

int client_connect(struct client *client, const struct server *server,
		   const struct client_options *options)
{
	uint64_t features;
	int error;

	if (!options)
		options = &usual;
	features = FE_USUAL_FEATURES | options->unusual_features;
	if (client_rings_are_packed() || options->packed)
		features |= FE_FEATURE_PACKED;
	memset(client, 0, sizeof(*client));
	error = fe_session_connect(&client->session, server->socket);
	if (error)
		return error;
	return fe_session_negotiate(
		&client->session, features & ~options->refused_features,
		(FE_USUAL_PROTOCOL & ~options->refused_protocol) |
			options->more_protocol);
}

static int prepare_queue(struct client *client, unsigned int i,
			 const struct client_options *options)
{
	uint32_t size =
		options->queue_size ? options->queue_size : CLIENT_QUEUE_SIZE;
	int error;

	client->nr_queues = i + 1;
	error = fe_vring_init(&client->vrings[i], &client->memory, 0, size,
			      client->session.features);
	if (error)
		return error;
	client->vrings[i].index = i;
	return fe_blk_init(&client->blks[i], &client->vrings[i], 0,
			   options->depth ? options->depth : CLIENT_DEPTH,
			   options->data_bytes ? options->data_bytes :
						 CLIENT_DATA_BYTES);
}

int client_prepare(struct client *client, const struct client_options *options)
{
	unsigned int nr_queues;
	int ret;

	if (!options)
		options = &usual;
	nr_queues = options->nr_queues ? options->nr_queues : 1;
	ret = fe_memory_add(&client->memory, 0,
			    options->memory_bytes ? options->memory_bytes :
						    CLIENT_MEMORY_BYTES);
	if (ret < 0)
		return ret;
	ret = 0;
	for (unsigned int i = 0; i < nr_queues && !ret; i++)
		ret = prepare_queue(client, i, options);
	return ret;
}

int client_start(struct client *client)
{
	int error = fe_session_set_memory(&client->session, &client->memory);

	for (unsigned int i = 0; i < client->nr_queues && !error; i++)
		error = fe_session_start_vring(
			&client->session, &client->vrings[i], i,
			fe_vring_base(&client->vrings[i]));
	return error;
}

int client_open(struct client *client, const struct server *server,
		const struct client_options *options)
{
	int error = client_connect(client, server, options);

	if (!error)
		error = client_prepare(client, options);
	if (!error)
		error = client_start(client);
	return error;
}

void client_close(struct client *client)
{
	if (client->session.timeout_msec)
		fe_session_deinit(&client->session);
	while (client->nr_queues) {
		client->nr_queues--;
		fe_blk_deinit(&client->blks[client->nr_queues]);
		fe_vring_deinit(&client->vrings[client->nr_queues]);
	}
	fe_memory_deinit(&client->memory);
	client->session.timeout_msec = 0;
}

uint64_t client_used_state(const struct fe_vring *vring)
{
	const uint8_t *bytes = (const uint8_t *)vring->packed.desc;
	uint64_t hash = 0;

	if (!vring->is_packed)
		return vring->used->idx;
	for (size_t i = 0; i < vring->size * sizeof(*vring->packed.desc); i++)
		hash = hash * 31 + bytes[i];
	return hash;
}

bool client_is_drained(const struct fe_vring *vring, uint32_t base)
{
	if (vring->is_packed)
		return (base & 0xffff) == base >> 16;
	return base == vring->used->idx;
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= UINT64_C(0xff51afd7ed558ccd);
	value ^= value >> 33;
	return value;
}

void client_fill(void *data, size_t bytes, uint64_t seed)
{
	uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++)
		byte[i] = (uint8_t)(mix(seed * 1000003 + i / 8) >> (i % 8));
}

bool client_filled(const void *data, size_t bytes, uint64_t seed)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++)
		if (byte[i] !=
		    (uint8_t)(mix(seed * 1000003 + i / 8) >> (i % 8)))
			return false;
	return true;
}

int client_check_io(struct client *client, unsigned int queue, uint8_t seed)
{
	struct fe_blk *blk = &client->blks[queue];
	uint8_t data[4096];
	int error;

	client_fill(data, sizeof(data), seed);
	error = fe_blk_write(blk, seed * 8u, data, sizeof(data));
	if (error)
		return error;
	memset(data, 0, sizeof(data));
	error = fe_blk_read(blk, seed * 8u, data, sizeof(data));
	if (error)
		return error;
	return client_filled(data, sizeof(data), seed) ? 0 : -EILSEQ;
}

/* Fill the queue with requests; returns how many were added, or -errno. */
static int add_requests(struct fe_blk *blk, unsigned int room, uint64_t *next)
{
	struct fe_blk_request *request;
	int nr = 0;
	int ret;

	while (room-- && (request = fe_blk_get(blk))) {
		request->sector = *next % 1024 * 8;
		request->data_bytes = 4096;
		request->type = *next % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		ret = fe_blk_add(request);
		if (ret == -ENOSPC) {
			fe_blk_put(request);
			break;
		}
		if (ret < 0)
			return ret;
		(*next)++;
		nr++;
	}
	if (nr)
		fe_vring_submit(blk->vring);
	return nr;
}

/* Take what is done; returns how many, or -errno for any failed one. */
static int reap_requests(struct fe_blk *blk)
{
	struct fe_blk_request *request;
	int nr = 0;
	int ret;

	while ((ret = fe_blk_reap(blk, &request)) > 0) {
		ret = fe_blk_result(request);
		fe_blk_put(request);
		if (ret)
			return ret;
		nr++;
	}
	return ret < 0 ? ret : nr;
}

int client_load(struct client *client, unsigned int queue, unsigned int nr)
{
	struct fe_blk *blk = &client->blks[queue];
	unsigned int nr_done = 0;
	uint64_t next = 0;
	int ret;

	while (nr_done < nr) {
		ret = add_requests(blk, nr - (unsigned int)next, &next);
		if (ret >= 0)
			ret = fe_vring_wait(blk->vring, blk->timeout_msec);
		if (ret >= 0)
			ret = reap_requests(blk);
		if (ret < 0)
			return ret;
		nr_done += (unsigned int)ret;
	}
	return 0;
}

uint64_t client_capacity(struct client *client)
{
	uint64_t sectors = 0;

	if (fe_session_get_config(&client->session, 0, &sectors,
				  sizeof(sectors)) < 0)
		return 0;
	return le64toh(sectors) * SECTOR_BYTES;
}

struct fe_blk_request *client_begin_write(struct client *client,
					  uint64_t offset_bytes)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	if (!request)
		return NULL;
	request->type = VIRTIO_BLK_T_OUT;
	request->sector = offset_bytes / SECTOR_BYTES;
	request->data_bytes = 4096;
	if (fe_blk_add(request) < 0)
		return NULL;
	fe_vring_submit(client->blks[0].vring);
	return request;
}

static const uint32_t question[] = { FE_GET_FEATURES, FE_FLAG_VERSION, 0 };

int client_begin_message(struct client *client, size_t nr_bytes)
{
	assert(sizeof(question) == CLIENT_MESSAGE_BYTES &&
	       nr_bytes < sizeof(question));
	if (send(client->session.sock, question, nr_bytes, MSG_NOSIGNAL) !=
	    (ssize_t)nr_bytes)
		return -EPIPE;
	return 0;
}

int client_end_message(struct client *client, size_t nr_bytes)
{
	struct {
		uint32_t header[3];
		uint32_t features[2];
	} answer;
	size_t rest = sizeof(question) - nr_bytes;

	if (send(client->session.sock, (const char *)question + nr_bytes, rest,
		 MSG_NOSIGNAL) != (ssize_t)rest)
		return -EPIPE;
	if (recv(client->session.sock, &answer, sizeof(answer), MSG_WAITALL) !=
	    sizeof(answer))
		return -ECONNRESET;
	if (answer.header[0] != FE_GET_FEATURES ||
	    answer.header[2] != sizeof(answer.features))
		return -EPROTO;
	return 0;
}

/* A ring that is disabled has come to rest before the answer. */
int client_settle(struct client *client, unsigned int queue)
{
	struct fe_session *session = &client->session;
	int error =
		fe_session_set_state(session, FE_SET_VRING_ENABLE, queue, 0);

	if (!error)
		error = fe_session_set_state(session, FE_SET_VRING_ENABLE,
					     queue, 1);
	rh_eventfd_drain(client->vrings[queue].call_fd);
	return error;
}

static int try_fresh_io(const struct server *server)
{
	uint64_t deadline = fe_deadline(FRESH_MSEC);
	struct client client;
	int error = client_connect(&client, server, NULL);

	if (!error)
		error = client_prepare(&client, NULL);
	if (!error)
		error = client_start(&client);
	if (!error)
		error = client_check_io(&client, 0, 1);
	client_close(&client);
	if (!error && fe_now_usec() > deadline)
		return -ETIME;
	return error;
}

int client_fresh_io(const struct server *server)
{
	int error = -ETIME;

	for (int i = 0; i < FRESH_TRIES && error == -ETIME; i++)
		error = try_fresh_io(server);
	return error;
}

static bool same(const struct footprint *a, const struct footprint *b)
{
	return a->nr_fds == b->nr_fds && a->nr_maps == b->nr_maps;
}

static void measure(const struct server *server, struct footprint *ret)
{
	ret->nr_fds = server_nr_fds(server);
	ret->nr_maps = server_nr_maps(server);
	ret->rss_bytes = server_rss_bytes(server);
}

int client_footprint(const struct server *server, struct footprint *ret)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	unsigned int nr_same = 0;
	struct fe_session session;
	struct footprint last = { 0 };
	/* so that what is made at the first use, and kept, is there */
	int error = client_fresh_io(server);

	if (error)
		return error;
	error = fe_session_connect(&session, server->socket);
	/* the answer means that the session before is gone */
	if (!error)
		error = fe_session_sync(&session);
	/* but a worker may still be tidying up */
	do {
		usleep(2000);
		measure(server, ret);
		nr_same = same(ret, &last) ? nr_same + 1 : 0;
		last = *ret;
	} while (!error && nr_same < 20 && fe_now_usec() < deadline);
	fe_session_deinit(&session);
	return error;
}

bool client_footprint_same(const struct server *server,
			   const struct footprint *before)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	struct footprint now;

	do {
		if (client_footprint(server, &now) < 0)
			break;
		/* the allocator and thread pools may keep a little */
		if (now.nr_fds <= before->nr_fds &&
		    now.nr_maps <= before->nr_maps + FOOTPRINT_MAPS &&
		    now.rss_bytes <= before->rss_bytes + FOOTPRINT_BYTES)
			return true;
	} while (fe_now_usec() < deadline);
	fprintf(stderr,
		"# fds %d -> %d, mappings %d -> %d, resident %lld -> %lld\n",
		before->nr_fds, now.nr_fds, before->nr_maps, now.nr_maps,
		(long long)before->rss_bytes, (long long)now.rss_bytes);
	return false;
}
