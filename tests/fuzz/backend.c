/* SPDX-License-Identifier: MIT */
/* backend - a device of no type, which touches all that it is given */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <ringhost/object.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/fuzz/backend.h"

#define MAX_RUNS    256
#define POPS_A_TURN 16

static uint8_t sum;

static void touch(const struct iovec *iov, unsigned int nr, bool writes)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint8_t *at = iov[i].iov_base;

		FUZZ_CHECK(at && iov[i].iov_len);
		if (writes) {
			at[0] = 0x11;
			at[iov[i].iov_len - 1] = 0x22;
		} else {
			sum += at[0];
			sum += at[iov[i].iov_len - 1];
		}
	}
}

static void take(struct fuzz_backend *backend, struct backend_queue *own,
		 struct rh_chain *chain)
{
	if (chain->error) {
		FUZZ_CHECK(backend->answers_bad);
		rh_queue_reject(own->queue, chain, "it is bad");
		return;
	}
	touch(chain->readable, chain->nr_readable, false);
	if (backend->holds && own->nr_held < BACKEND_MAX_HELD) {
		own->held[own->nr_held++] = chain;
		return;
	}
	touch(chain->writable, chain->nr_writable, true);
	rh_queue_push(own->queue, chain, (uint32_t)chain->writable_bytes);
}

static void turn(struct fuzz_backend *backend, struct backend_queue *own)
{
	struct rh_chain *chain;

	rh_queue_clear_kick(own->queue);
	rh_queue_suppress_kicks(own->queue);
	for (int i = 0; i < POPS_A_TURN; i++) {
		if (rh_queue_pop(own->queue, &chain) <= 0)
			break;
		take(backend, own, chain);
	}
	if (rh_queue_flush(own->queue))
		rh_queue_notify(own->queue);
	rh_queue_expect_kicks(own->queue);
}

static void release_held(struct backend_queue *own)
{
	for (unsigned int i = 0; i < own->nr_held; i++) {
		struct rh_chain *chain = own->held[i];

		if (rh_queue_may_abandon(own->queue)) {
			rh_queue_abandon(own->queue, chain);
			continue;
		}
		touch(chain->writable, chain->nr_writable, true);
		rh_queue_push(own->queue, chain,
			      (uint32_t)chain->writable_bytes);
	}
	own->nr_held = 0;
}

static void give_back(struct fuzz_backend *backend, struct backend_queue *own)
{
	struct rh_queue *queue = own->queue;
	struct rh_chain *chain;

	while (rh_queue_owes(queue) && !rh_queue_may_abandon(queue) &&
	       rh_queue_pop(queue, &chain) > 0)
		take(backend, own, chain);
	release_held(own);
	own->queue = NULL;
	own->is_asked_back = false;
	rh_queue_stopped(queue);
}

void backend_give_back(struct fuzz_backend *backend)
{
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		if (backend->queues[i].is_asked_back)
			give_back(backend, &backend->queues[i]);
	}
}

void backend_turn(struct fuzz_backend *backend)
{
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		if (backend->queues[i].queue)
			turn(backend, &backend->queues[i]);
	}
}

static int queue_start(void *opaque, struct rh_queue *queue)
{
	struct fuzz_backend *backend = opaque;
	struct backend_queue *own = &backend->queues[rh_queue_index(queue)];

	FUZZ_CHECK(!own->queue && rh_queue_running(queue));
	if (backend->fails)
		return -ENOMEM;
	own->queue = queue;
	rh_queue_set_data(queue, own);
	turn(backend, own);
	return 0;
}

static void queue_stop(void *opaque, struct rh_queue *queue)
{
	struct fuzz_backend *backend = opaque;
	struct backend_queue *own = rh_queue_data(queue);

	FUZZ_CHECK(own->queue == queue && !own->is_asked_back);
	own->is_asked_back = true;
	if (!backend->is_slow)
		give_back(backend, own);
}

static int config_get(void *opaque, uint32_t offset, void *data, uint32_t size)
{
	struct fuzz_backend *backend = opaque;

	FUZZ_CHECK(size && offset + size <= BACKEND_CONFIG_BYTES);
	memcpy(data, backend->config + offset, size);
	return backend->fails ? -EIO : 0;
}

static int config_set(void *opaque, uint32_t offset, const void *data,
		      uint32_t size)
{
	struct fuzz_backend *backend = opaque;

	FUZZ_CHECK(size && offset + size <= BACKEND_CONFIG_BYTES);
	memcpy(backend->config + offset, data, size);
	return backend->fails ? -EINVAL : 0;
}

static void check_no_queue(const struct fuzz_backend *backend)
{
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++)
		FUZZ_CHECK(!backend->queues[i].queue);
}

static void reset(void *opaque)
{
	check_no_queue(opaque);
}

static void disconnected(void *opaque, int error)
{
	FUZZ_CHECK(error <= 0);
	check_no_queue(opaque);
}

static void paused(void *opaque)
{
	check_no_queue(opaque);
}

static int object_get(void *opaque, const uint8_t uuid[RH_UUID_BYTES])
{
	struct fuzz_backend *backend = opaque;

	return backend->fails || uuid[0] ? -ENOENT : rh_eventfd_create();
}

static void object_found(void *opaque, const uint8_t uuid[RH_UUID_BYTES],
			 int fd)
{
	(void)opaque;
	(void)uuid;
	rh_fd_close(&fd);
}

static int state_save(void *opaque, void **data, size_t *bytes)
{
	struct fuzz_backend *backend = opaque;

	if (backend->fails)
		return -EIO;
	*bytes = backend->state;
	*data = *bytes ? calloc(1, *bytes) : NULL;
	return 0;
}

static int state_load(void *opaque, const void *data, size_t bytes)
{
	struct fuzz_backend *backend = opaque;
	const uint8_t *at = data;

	FUZZ_CHECK(bytes <= RH_MAX_STATE_BYTES);
	if (bytes)
		sum += at[bytes - 1];
	return backend->fails ? -EINVAL : 0;
}

static const struct rh_device_ops least = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
};

static const struct rh_device_ops most = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.config_get = config_get,
	.config_set = config_set,
	.reset = reset,
	.disconnected = disconnected,
	.paused = paused,
	.object_get = object_get,
	.object_found = object_found,
	.state_save = state_save,
	.state_load = state_load,
};

void backend_create(struct fuzz_backend *backend, uint8_t choice)
{
	const struct rh_device_config config = {
		.name = "fuzz",
		.ops = choice & 1 ? &least : &most,
		.opaque = backend,
		.features = UINT64_C(1) << 5,
		.nr_queues = BACKEND_QUEUES,
		.max_queue_size = BACKEND_QUEUE_SIZE,
		.config_bytes = choice & 1 ? 0 : BACKEND_CONFIG_BYTES,
		.flags = choice & 2 ? RH_DEVICE_BAD_CHAINS : 0,
	};

	*backend = (struct fuzz_backend){
		.answers_bad = choice & 2,
		.is_slow = choice & 4,
		.holds = choice & 8,
		.state = choice & 16 ? 100000 :
			 choice & 32 ? 10 :
				       0,
	};
	FUZZ_CHECK(!rh_device_create(&config, &backend->device));
}

void backend_run(struct fuzz_backend *backend)
{
	struct pollfd ready = { rh_device_fd(backend->device), POLLIN, 0 };
	int nr = 0;

	do {
		FUZZ_CHECK(nr++ < MAX_RUNS);
		FUZZ_CHECK(!rh_device_run(backend->device));
	} while (poll(&ready, 1, 0) == 1);
}

void backend_destroy(struct fuzz_backend *backend)
{
	backend->is_slow = false;
	backend_give_back(backend);
	rh_device_stop(backend->device);
	backend_run(backend);
	FUZZ_CHECK(rh_device_finished(backend->device));
	check_no_queue(backend);
	rh_device_destroy(backend->device);
}

static void act_on_object(struct fuzz_backend *backend, uint8_t what)
{
	uint8_t uuid[RH_UUID_BYTES] = { what };

	switch (what % 3) {
	case 0:
		rh_device_object_add(backend->device, uuid);
		break;
	case 1:
		rh_device_object_remove(backend->device, uuid);
		break;
	case 2:
		rh_device_object_lookup(backend->device, uuid);
		break;
	}
}

void backend_act(struct fuzz_backend *backend, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);

	switch (what % 10) {
	case 0:
		backend_give_back(backend);
		break;
	case 1:
		rh_device_pause(backend->device);
		break;
	case 2:
		rh_device_resume(backend->device);
		break;
	case 3:
		rh_device_config_changed(backend->device);
		break;
	case 4:
	case 5:
		act_on_object(backend, what / 10);
		break;
	case 6:
		backend->is_slow = what / 10 & 1;
		break;
	case 7:
		backend->holds = what / 10 & 1;
		break;
	case 8:
		backend->fails = what / 10 & 1;
		break;
	case 9:
		backend_turn(backend);
		break;
	}
}
