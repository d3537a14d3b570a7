/* SPDX-License-Identifier: MIT */
/*
 * vm - a whole VM's side of a disk, in one call or in steps
 *
 * Memory, session, and for each queue a ring and its requests. It hides
 * nothing: a case that wants something odd reaches into the members between
 * two steps.
 *
 * Functions return 0 or -errno, as those of tests/frontend, and stop at the
 * first error; vm_close() then takes down what there is. One thread.
 */
#ifndef CHECK_VM_H
#define CHECK_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "check/target.h"
#include "tests/frontend/blk.h"
#include "tests/frontend/memory.h"
#include "tests/frontend/session.h"
#include "tests/frontend/vring_session.h"

#define VM_MAX_QUEUES 8
#define VM_QUEUE_SIZE 128 /* what QEMU asks for */
#define VM_DEPTH      16

struct vm_options {
	uint64_t refused_features; /* of those a VMM usually accepts */
	uint64_t refused_protocol;
	uint64_t unusual_features; /* to accept, though few VMMs do */
	uint64_t more_protocol;	   /* the same */
	unsigned int nr_queues;	   /* 0: 1; at most VM_MAX_QUEUES */
	uint32_t queue_size;	   /* 0: VM_QUEUE_SIZE */
	unsigned int depth;	   /* 0: VM_DEPTH */
	uint32_t data_bytes;	   /* 0: room for two blocks, and for 64 KiB */
};

struct vm {
	bool connected;
	struct fe_memory memory;
	struct fe_session session;
	unsigned int nr_queues;
	struct fe_vring vrings[VM_MAX_QUEUES];
	struct fe_blk blks[VM_MAX_QUEUES];
};

/* Connect and say nothing. */
int vm_dial(struct vm *vm, const struct target *target);

/* Connect and negotiate; no memory, no rings. options may be NULL. */
int vm_connect(struct vm *vm, const struct target *target,
	       const struct vm_options *options);

/* Memory and rings for a session, of which nothing is told yet. */
int vm_prepare(struct vm *vm, const struct target *target,
	       const struct vm_options *options);

/* Show the memory and start the rings. */
int vm_start(struct vm *vm);

/*
 * Make a ring that was not started yet look as if another device had served
 * it up to base, with what that would have left in the used ring.
 */
void vm_set_position(struct fe_vring *vring, uint16_t base);

/* vm_connect(), vm_prepare(), vm_start(). */
int vm_open(struct vm *vm, const struct target *target,
	    const struct vm_options *options);

/* Harmless for a vm of zeroes, or one closed already. */
void vm_close(struct vm *vm);

#endif
