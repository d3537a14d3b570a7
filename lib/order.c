/* SPDX-License-Identifier: MIT */
/*
 * order - chains go back in the order in which they came
 *
 * A list through the places, from the head that was taken first to the last.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/order.h"

int rh_order_init(struct rh_order *order, uint32_t size)
{
	*order = (struct rh_order){
		.places = calloc(size, sizeof(*order->places)),
	};
	return order->places ? 0 : -ENOMEM;
}

void rh_order_deinit(struct rh_order *order)
{
	free(order->places);
	*order = (struct rh_order){ 0 };
}

bool rh_order_has(const struct rh_order *order, uint16_t head)
{
	return order->places[head].turn != RH_TURN_NONE;
}

void rh_order_take(struct rh_order *order, uint16_t head)
{
	assert(!rh_order_has(order, head));
	order->places[head].turn = RH_TURN_TAKEN;
	if (order->nr++)
		order->places[order->last].next = head;
	else
		order->first = head;
	order->last = head;
}

void rh_order_push(struct rh_order *order, uint16_t head,
		   uint32_t written_bytes)
{
	struct rh_order_place *place = &order->places[head];

	assert(place->turn == RH_TURN_TAKEN);
	place->turn = RH_TURN_PUSHED;
	place->written_bytes = written_bytes;
}

bool rh_order_next(struct rh_order *order, uint16_t *head,
		   uint32_t *written_bytes)
{
	struct rh_order_place *place = &order->places[order->first];

	if (!order->nr || place->turn != RH_TURN_PUSHED)
		return false;
	*head = order->first;
	*written_bytes = place->written_bytes;
	place->turn = RH_TURN_NONE;
	order->first = place->next;
	order->nr--;
	return true;
}
