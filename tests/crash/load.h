/* SPDX-License-Identifier: MIT */
/*
 * load - a driver with many requests under way, of which the judge knows all
 *
 * Requests of all kinds at random places: every other one in a small part of
 * the disk, where they overlap each other all the time. What is written is
 * stamped; the buffers of what has completed are stamped as spent. The driver
 * outlives its server: it keeps memory, rings and the in-flight region, and
 * shows them to the next one.
 *
 * Functions that return int return 0 or -errno. Owner: one thread.
 */
#ifndef CRASH_LOAD_H
#define CRASH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/judge.h"
#include "tests/crash/stamp.h"
#include "tests/e2e/client.h"
#include "tests/frontend/inflight.h"

#define LOAD_SECTORS	 1024u /* of the disk, that are used */
#define LOAD_DISK_BYTES	 (LOAD_SECTORS * STAMP_BYTES)
#define LOAD_MAX_DEPTH	 32
#define LOAD_QUEUE_SIZE	 512 /* all of them in direct descriptors */
#define LOAD_MAX_SECTORS 16u /* of a request */

struct load_options {
	unsigned int nr_queues; /* at most CLIENT_MAX_QUEUES */
	unsigned int depth;	/* requests under way in each */
	bool is_packed;
	bool is_indirect; /* every other request */
	bool only_writes;
	bool forgets; /* the disk does: what it holds is not looked at */
	enum judge_cache cache;
	bool refuses_flush; /* which makes any server write through */
	unsigned int seed;
};

struct load_slot {
	uint64_t sequence;
	uint32_t type; /* VIRTIO_BLK_T_... */
	unsigned int queue;
	unsigned int number;
	bool is_under_way;
	bool is_owed; /* since before a server died */
};

struct load {
	struct load_options options;
	const struct server *server; /* not owned */
	struct client client;
	struct fe_inflight inflight;
	struct judge *judge;
	unsigned int seed;
	bool is_prepared;
	unsigned int nr_under_way;
	unsigned int nr_owed;
	unsigned int nr_still_owed; /* of nr_owed, when the last one died */
	uint64_t nr_ended;
	uint64_t nr_failed; /* of them, with an error */
	struct load_slot slots[CLIENT_MAX_QUEUES][LOAD_MAX_DEPTH];
};

/* A number below limit, from the load's seed. */
unsigned int load_random(struct load *load, unsigned int limit);

/* A driver that is not connected. close is harmless after failure. */
int load_open(struct load *load, const struct server *server,
	      const struct load_options *options);
void load_close(struct load *load);

/*
 * Connect to the server that runs now: the following three. The first time,
 * the in-flight region is asked for, from then on it is shown again. Of the
 * queues the first nr_queues are started; 0: all.
 */
int load_connect(struct load *load, unsigned int nr_queues);
int load_negotiate(struct load *load);
int load_show_region(struct load *load);
int load_start(struct load *load, unsigned int nr_queues);

/* Have as many requests under way as the options say. */
int load_fill(struct load *load);

/*
 * Take all used entries there are, and where it goes on put new requests in
 * their place. *nr_ended is added to. -EPROTO: one of them is of no request
 * under way, of which the judge has been told.
 */
int load_turn(struct load *load, bool goes_on, uint64_t *nr_ended);

/*
 * Until so many requests have ended. -ETIMEDOUT when nothing ends any more,
 * -ECONNRESET when the server has gone.
 */
int load_run(struct load *load, uint64_t nr_ended, bool goes_on);

/* Until no more than nr_owed of those from before the death are left. */
int load_run_recovery(struct load *load, unsigned int nr_owed, bool goes_on);

/* Until none is under way; the judge is told of those that did not end. */
int load_drain(struct load *load);

/*
 * The server is dead. Take what it has left in the rings; what is still under
 * way is owed by the next one.
 */
int load_note_death(struct load *load);

/*
 * The driver's machine starts anew, on a disk of this content: rings are
 * empty, buffers spent, nothing is under way. The region stays what it was.
 */
void load_reboot(struct load *load, const void *disk);

/* The next server is asked for a new region. */
void load_forget_region(struct load *load);

/* What the image holds, LOAD_DISK_BYTES of it. */
int load_read_image(const struct load *load, void *disk);

#endif
