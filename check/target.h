/* SPDX-License-Identifier: MIT */
/*
 * target - the back-end under test: what it is, and whether it still serves
 *
 * What a back-end offers is learned once, from a session of its own, and is
 * what cases are chosen by. The last part of its disk is the scratch range:
 * all that cases write lies in it. What was there is kept in memory from the
 * beginning, is what plain reads are compared with, and is put back after each
 * case that writes.
 *
 * Functions return 0 or -errno. One thread.
 */
#ifndef CHECK_TARGET_H
#define CHECK_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/virtio_blk.h>

#define TARGET_CONFIG_BYTES  60 /* up to write_zeroes_may_unmap */
#define TARGET_SCRATCH_BYTES (1u << 20)
#define TARGET_NR_SLOTS	     16 /* places of one unit in the scratch range */

struct target {
	const char *socket;
	int timeout_msec;
	pid_t given_pid; /* -1: none may be looked at; 0: of the socket */
	pid_t pid;	 /* 0: not known */

	uint64_t features; /* as offered */
	uint64_t protocol;
	uint64_t nr_queues;
	struct virtio_blk_config config; /* TARGET_CONFIG_BYTES of it */

	uint64_t nr_sectors;
	uint32_t block_bytes;
	bool read_only;
	unsigned int seg_max; /* 1 where it is not told */
	uint32_t unit_bytes;  /* of plain requests: a block, 4 KiB at least */

	uint64_t scratch_sector;
	uint32_t scratch_bytes;
	uint8_t *scratch; /* what was there */
};

/*
 * Learn all of it. *why: a constant sentence when this back-end cannot be
 * tested, else NULL.
 */
int target_learn(struct target *target, const char **why);
void target_deinit(struct target *target);

/* The process that listens, or 0 when it is not known or cannot be seen. */
pid_t target_find_pid(const struct target *target);

/*
 * A fresh front-end connects, negotiates and reads a block. *why: what failed,
 * a constant, when it is not served.
 */
int target_serves(struct target *target, const char **why);

/* Put back what the scratch range held. */
int target_restore(const struct target *target);

/* True when the scratch range holds what it held; false also for no answer. */
bool target_is_restored(const struct target *target);

/* The sector of a slot of one unit, and what was there. */
uint64_t target_slot_sector(const struct target *target, unsigned int slot);
const uint8_t *target_slot_data(const struct target *target, unsigned int slot);

/*
 * What the process holds: fds and mappings. -ENOENT when there is no process
 * to look at. Taken while a fresh front-end is connected and silent, when the
 * numbers have come to rest.
 */
struct target_footprint {
	int nr_fds;
	int nr_maps; /* shared ones */
};

int target_measure(const struct target *target, struct target_footprint *ret);

#endif
