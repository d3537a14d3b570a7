/* SPDX-License-Identifier: MIT */
/*
 * client - a whole VM's side of a disk, ready for I/O in one call
 *
 * Memory, session, and for each queue a ring and its requests. It has what
 * the tests have in common and hides nothing: they reach into the members.
 *
 * Functions return 0 or -errno and stop at the first error; client_close()
 * then takes down what there is.
 */
#ifndef E2E_CLIENT_H
#define E2E_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/e2e/server.h"
#include "tests/frontend/blk.h"
#include "tests/frontend/eventfd.h"
#include "tests/frontend/memory.h"
#include "tests/frontend/session.h"
#include "tests/frontend/vring.h"
#include "tests/frontend/vring_session.h"

#define CLIENT_MAX_QUEUES   4
#define CLIENT_QUEUE_SIZE   64
#define CLIENT_DEPTH	    16
#define CLIENT_DATA_BYTES   65536
#define CLIENT_MEMORY_BYTES (32u << 20)

struct client_options {
	uint64_t refused_features; /* of those a VMM usually accepts */
	uint64_t refused_protocol;
	uint64_t unusual_features; /* to accept, though few VMMs do */
	uint64_t more_protocol;	   /* than a VMM usually accepts */
	bool packed;		   /* accept packed rings whatever RINGS says */
	unsigned int nr_queues;	   /* 0: 1; at most CLIENT_MAX_QUEUES */
	uint32_t queue_size;	   /* 0: CLIENT_QUEUE_SIZE */
	unsigned int depth;	   /* 0: CLIENT_DEPTH */
	uint32_t data_bytes;	   /* 0: CLIENT_DATA_BYTES */
	uint64_t memory_bytes;	   /* 0: CLIENT_MEMORY_BYTES */
};

struct client {
	struct fe_memory memory;
	struct fe_session session;
	unsigned int nr_queues;
	struct fe_vring vrings[CLIENT_MAX_QUEUES];
	struct fe_blk blks[CLIENT_MAX_QUEUES];
};

/*
 * True if the environment variable RINGS is "packed": all clients then accept
 * packed rings, unless they refuse them.
 */
bool client_rings_are_packed(void);

/* Connect and negotiate; no memory, no rings. options may be NULL. */
int client_connect(struct client *client, const struct server *server,
		   const struct client_options *options);

/* Memory and rings for a session that has negotiated, nothing told yet. */
int client_prepare(struct client *client, const struct client_options *options);

/* Show the memory and start the rings. */
int client_start(struct client *client);

/* All three. */
int client_open(struct client *client, const struct server *server,
		const struct client_options *options);

/* Harmless for a client of zeroes, or one closed already. */
void client_close(struct client *client);

/* A number that differs when the device has written into the ring. */
uint64_t client_used_state(const struct fe_vring *vring);

/* True if each chain was either not taken up to this base, or is done. */
bool client_is_drained(const struct fe_vring *vring, uint32_t base);

/* Write a block, read it back, compare. seed also chooses the place. */
int client_check_io(struct client *client, unsigned int queue, uint8_t seed);

/* Of the disk, in bytes; 0: the device does not tell. */
uint64_t client_capacity(struct client *client);

/*
 * A write of 4096 bytes at this place on queue 0, for which nobody waits yet;
 * NULL without room.
 */
struct fe_blk_request *client_begin_write(struct client *client,
					  uint64_t offset_bytes);

/*
 * A message, asking for the features, in two pieces: the first so many bytes;
 * then the rest, and its answer. CLIENT_MESSAGE_BYTES have to be more.
 */
#define CLIENT_MESSAGE_BYTES 12
int client_begin_message(struct client *client, size_t nr_bytes);
int client_end_message(struct client *client, size_t nr_bytes);

/*
 * Until all calls are made for what queue has done: seeing a request used
 * does not mean that its call is made already. None is left on the call fd.
 */
int client_settle(struct client *client, unsigned int queue);

/* Fill with bytes that depend on seed and place, and compare with them. */
void client_fill(void *data, size_t bytes, uint64_t seed);
bool client_filled(const void *data, size_t bytes, uint64_t seed);

/*
 * Keep depth writes and reads under way on a queue until nr are done.
 */
int client_load(struct client *client, unsigned int queue, unsigned int nr);

/*
 * A fresh client negotiates and does one I/O on queue 0, all within a second
 * (within five where a sanitizer is compiled in). It is asked a few times: a
 * server that has become slow is slow each time, a machine that stood still
 * is not. -ETIME: it was slow each time.
 */
int client_fresh_io(const struct server *server);

/*
 * What a server holds while one silent front-end is connected; taken when all
 * sessions before have been cleaned up.
 */
struct footprint {
	int nr_fds;
	int nr_maps;
	int64_t rss_bytes;
};

int client_footprint(const struct server *server, struct footprint *ret);

/* True, or false with a line that says what has grown. */
bool client_footprint_same(const struct server *server,
			   const struct footprint *before);

#endif
