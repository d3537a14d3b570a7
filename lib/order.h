/* SPDX-License-Identifier: MIT */
/*
 * order - chains go back in the order in which they came (virtio 1.3, 2.7.9
 * and 2.8.8)
 *
 * With VIRTIO_F_IN_ORDER a used entry says that its chain and all those before
 * it are done. A device is free to push in any order: what it pushed early
 * waits here until all before it was pushed too. A chain that never goes back
 * (a reject) holds those behind it for ever, since giving them would say that
 * it was done; its queue is broken and begins anew.
 *
 * Allocates at the start only. Owner: that of the queue.
 */
#ifndef LIB_ORDER_H
#define LIB_ORDER_H

#include <stdbool.h>
#include <stdint.h>

enum rh_turn {
	RH_TURN_NONE,	/* the head is free */
	RH_TURN_TAKEN,	/* its chain is under way, or never goes back */
	RH_TURN_PUSHED, /* done, and waits for those before it */
};

struct rh_order_place {
	uint32_t written_bytes;
	uint16_t next; /* the head taken behind this one */
	uint8_t turn;  /* enum rh_turn */
};

struct rh_order {
	struct rh_order_place *places; /* one a head; NULL: order is free */
	uint32_t nr;		       /* heads between first and last */
	uint16_t first;
	uint16_t last;
};

/* For heads below size. Returns 0 or -ENOMEM. */
int rh_order_init(struct rh_order *order, uint32_t size);

/* Harmless on zeroes; the order is free then. */
void rh_order_deinit(struct rh_order *order);

static inline bool rh_order_is_kept(const struct rh_order *order)
{
	return order->places;
}

/* True if the head was taken and has not gone back. */
bool rh_order_has(const struct rh_order *order, uint16_t head);

/* A head that it does not have comes behind all others. */
void rh_order_take(struct rh_order *order, uint16_t head);

/* Its chain was pushed, with what rh_order_next() returns in its turn. */
void rh_order_push(struct rh_order *order, uint16_t head,
		   uint32_t written_bytes);

/* True with the next head to go back, which the order has no more. */
bool rh_order_next(struct rh_order *order, uint16_t *head,
		   uint32_t *written_bytes);

#endif
