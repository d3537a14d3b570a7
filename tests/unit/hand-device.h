/* SPDX-License-Identifier: MIT */
/*
 * hand-device - the device's side of a vq, one step at a time
 *
 * For unit tests of what loads a back-end: takes a request out of the ring as
 * a device does, shows its pieces, and uses it with whatever the test says.
 * Split and packed rings, written down anew.
 */
#ifndef TESTS_UNIT_HAND_DEVICE_H
#define TESTS_UNIT_HAND_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/vq.h"

#define HAND_MAX_PIECES 8

struct hand_piece {
	uint64_t addr;
	uint32_t bytes;
	bool writable;
};

struct hand_request {
	uint32_t id; /* the head, or the buffer id */
	uint16_t nr_entries;
	unsigned int nr_pieces;
	struct hand_piece pieces[HAND_MAX_PIECES];
};

/* Zeroes and vq are ready for a new ring. */
struct hand_device {
	struct vq *vq;
	uint32_t avail; /* entries taken, and used, since the start */
	uint32_t used;
};

/* Returns false when none is there. */
bool hand_take(struct hand_device *device, struct hand_request *ret);

/* Any id, any length; of a request of the normal number of entries. */
void hand_use(struct hand_device *device, uint32_t id, uint32_t bytes);

/* The piece's bytes in this process */
void *hand_pointer(const struct hand_device *device,
		   const struct hand_piece *piece);

/* Use it as a device that did what was asked, or says that it did not. */
void hand_complete(struct hand_device *device,
		   const struct hand_request *request, uint8_t status);

#endif
