/* SPDX-License-Identifier: MIT */
/*
 * device-world - a device, a socketpair as its front-end, and what it called
 *
 * For the tests of lib/device.c and its neighbours. The device gives a queue
 * back at once, or when the test says so.
 */
#ifndef TESTS_UNIT_DEVICE_WORLD_H
#define TESTS_UNIT_DEVICE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/device.h"
#include "lib/wire.h"

#define WORLD_QUEUES	   3
#define WORLD_MEMORY_BYTES 0x10000
#define WORLD_USER_BASE	   UINT64_C(0x7f0000000000)
#define WORLD_CONFIG_BYTES 32

struct world {
	struct rh_device *device;
	int front_end;
	int memory_fd;
	bool slow; /* queues are given back by world_give_back() only */
	/* What the operations of these names do besides; NULL: nothing */
	void (*on_start)(struct world *world);
	void (*on_reset)(struct world *world);
	void (*on_paused)(struct world *world);
	void (*on_disconnected)(struct world *world);
	unsigned int nr_started;
	unsigned int nr_stop_asked;
	unsigned int nr_connected;
	pid_t peer; /* of the last one */
	unsigned int nr_disconnected;
	unsigned int nr_paused;
	unsigned int nr_broken;
	char why_broken[64]; /* of the last one */
	unsigned int nr_started_when_broken;
	unsigned int nr_resets;
	int last_error;
	uint64_t features;
	uint8_t config[WORLD_CONFIG_BYTES];
	struct rh_queue *stopping[WORLD_QUEUES];
};

/* The operations behind a world; opaque is the struct world. */
extern const struct rh_device_ops world_ops;

bool world_device_ready(const struct world *world);
void world_run(struct world *world);
void world_create(struct world *world);
/* With other operations, whose opaque pointer is the world as well. */
void world_create_with(struct world *world, const struct rh_device_ops *ops);
/* flags: RH_DEVICE_... */
void world_create_flags(struct world *world, const struct rh_device_ops *ops,
			uint32_t flags);
void world_attach(struct world *world);
void world_destroy(struct world *world);
/* Without NEED_REPLY. fd: -1 for none. */
void world_tell(struct world *world, uint32_t request, const void *payload,
		uint32_t size, int fd);
/* Returns the size of the reply's payload, or -1 when there is none. */
int world_take_reply(struct world *world, uint32_t request, void *payload,
		     size_t most);
/* Take one whole message with its fds; returns how many fds came. */
int world_take_reply_fds(struct world *world, struct rh_incoming *incoming);
/* A message with NEED_REPLY; returns the acknowledgement: 0 is success. */
uint64_t world_ask(struct world *world, uint32_t request, const void *payload,
		   uint32_t size, int fd);
uint64_t world_ask_u64(struct world *world, uint32_t request, uint64_t value);
uint64_t world_ask_state(struct world *world, uint32_t request, uint32_t index,
			 uint32_t num);
uint64_t world_get_u64(struct world *world, uint32_t request);
void world_negotiate(struct world *world);
struct vhost_user_single_region world_whole_memory(void);
void world_share_memory(struct world *world);
uint64_t world_set_kick(struct world *world, uint32_t index);
uint64_t world_set_addr(struct world *world, uint32_t index);
void world_start_queue(struct world *world, uint32_t index);
/* A front-end with one running queue. */
void world_create_running(struct world *world);
void world_give_back(struct world *world);

/* The device has armed its timer; its time is over now. */
void world_let_timer_expire(struct world *world);

/* Operations for a device that has a state, with nothing in it. */
int world_save_nothing(void *opaque, void **data, size_t *bytes);
int world_load_anything(void *opaque, const void *data, size_t bytes);

#endif
