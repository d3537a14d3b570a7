/* SPDX-License-Identifier: MIT */
/*
 * worker-bench - a worker, two guests with a queue each, and their driver
 *
 * The driver's requests are calls in another thread, which end when the test
 * opens the gate.
 */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "common/fd.h"
#include "tests/unit/worker-bench.h"

unsigned int bench_poll_usec;

enum engine_kind bench_kinds[2] = { ENGINE_URING, ENGINE_THREADS };

static struct bench_driver *ours_of(struct driver *driver)
{
	return container_of(driver, struct bench_driver, driver);
}

static int bench_driver_attach(struct driver *driver, struct engine *engine,
			       struct driver_context **ret)
{
	struct bench_driver *ours = ours_of(driver);
	struct driver_context *context;

	if (ours->attach_result)
		return ours->attach_result;
	context = calloc(1, sizeof(*context));
	*context = (struct driver_context){ driver, engine };
	atomic_fetch_add(&ours->nr_attached, 1);
	*ret = context;
	return 0;
}

static void bench_driver_detach(struct driver_context *context)
{
	atomic_fetch_add(&ours_of(context->driver)->nr_detached, 1);
	free(context);
}

static int bench_driver_call(struct io_op *op)
{
	struct blk_request *request = container_of(op, struct blk_request, io);
	struct bench_driver *ours = request->driver_data;

	while (ours->held && sem_wait(&ours->gate) < 0)
		;
	return 0;
}

static void bench_driver_done(struct io_op *op, int result)
{
	struct blk_request *request = container_of(op, struct blk_request, io);
	struct bench_driver *ours = request->driver_data;

	ours->nr_under_way--;
	request->complete(request, result);
}

static enum driver_answer bench_driver_submit(struct driver_context *context,
					      struct blk_request *request)
{
	struct bench_driver *ours = ours_of(context->driver);

	if (ours->limit && ours->nr_under_way == ours->limit)
		return DRIVER_BUSY;
	request->driver_data = ours;
	request->io = (struct io_op){
		.kind = IO_CALL,
		.call = bench_driver_call,
		.done = bench_driver_done,
	};
	request->result = 0;
	if (!ours->at_once && engine_submit(context->engine, &request->io) < 0)
		return DRIVER_BUSY;
	atomic_fetch_add(&ours->nr_submitted, 1);
	if (ours->submitted)
		ours->submitted(request);
	if (ours->at_once)
		return DRIVER_COMPLETED;
	ours->nr_under_way++;
	ours->nr_most = MAX(ours->nr_most, ours->nr_under_way);
	return DRIVER_QUEUED;
}

static const struct driver_ops bench_driver_ops = {
	.name = "test",
	.attach = bench_driver_attach,
	.detach = bench_driver_detach,
	.submit = bench_driver_submit,
};

static void init_guest(struct bench *bench, unsigned int index)
{
	struct guest *guest = &bench->guests[index];
	struct ring_memory *ring = &guest->ring;

	ring_init(ring, BENCH_RING_SIZE);
	ring->queue.index = index;
	guest->worker = bench->worker;
	guest->driver = &bench->driver.driver;
	guest->blk = bench->blk;
	guest->kick = rh_eventfd_create();
	guest->call = rh_eventfd_create();
	ring->queue.kick_fd = dup(guest->kick);
	rh_signal_fd_set(&ring->queue.call, dup(guest->call));
	for (unsigned int i = 0; i < BENCH_NR_SLOTS; i++) {
		guest->header[i] = ring_alloc(ring, 16, 16);
		guest->data[i] = ring_alloc(ring, 512, 512);
		guest->status[i] = ring_alloc(ring, 1, 1);
	}
}

int bench_set_up(void **state)
{
	enum engine_kind kind = *(enum engine_kind *)*state;
	struct virtio_blk_options options = {
		.name = "disk0",
		.nr_queues = 2,
		.queue_size = BENCH_RING_SIZE,
	};
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->kind = kind;
	if (worker_create("disk0/worker-with-a-long-name", kind,
			  bench_poll_usec, &bench->worker) < 0)
		assert_int_equal(kind, ENGINE_URING);
	else
		assert_int_equal(worker_start(bench->worker), 0);
	bench->driver.driver.ops = &bench_driver_ops;
	bench->driver.driver.info = (struct driver_info){
		.size_bytes = 1 << 20,
		.logical_block_bytes = 512,
		.physical_block_bytes = 512,
	};
	sem_init(&bench->driver.gate, 0, 0);
	assert_int_equal(virtio_blk_create(&options, &bench->driver.driver,
					   &bench->blk),
			 0);
	init_guest(bench, 0);
	init_guest(bench, 1);
	*state = bench;
	return 0;
}

int bench_tear_down(void **state)
{
	struct bench *bench = *state;

	worker_destroy(bench->worker);
	for (unsigned int i = 0; i < ARRAY_SIZE(bench->guests); i++) {
		ring_deinit(&bench->guests[i].ring);
		rh_fd_close(&bench->guests[i].kick);
		rh_fd_close(&bench->guests[i].call);
	}
	virtio_blk_destroy(bench->blk);
	sem_destroy(&bench->driver.gate);
	free(bench);
	return 0;
}

struct bench *bench_of(void **state)
{
	struct bench *bench = *state;

	if (!bench->worker)
		skip();
	return bench;
}

void bench_let_go(struct bench *bench, unsigned int nr)
{
	while (nr--)
		sem_post(&bench->driver.gate);
}

void bench_wait_submitted(struct bench *bench, unsigned int nr)
{
	while (atomic_load(&bench->driver.nr_submitted) < nr)
		sched_yield();
}

void guest_start(struct guest *guest)
{
	ring_start(&guest->ring, RING_EVENT_IDX);
	assert_int_equal(worker_queue_start(guest->worker, &guest->ring.queue,
					    guest->blk, guest->driver),
			 0);
}

bool guest_given_back(struct guest *guest)
{
	return atomic_load(&guest->ring.queue.given_back);
}

static void wait_for(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&readable, 1, -1), 1);
	rh_eventfd_drain(fd);
}

void guest_ask_back(struct guest *guest)
{
	worker_queue_stop(guest->worker, &guest->ring.queue, NULL, NULL);
}

void guest_wait_given_back(struct guest *guest)
{
	while (!guest_given_back(guest))
		wait_for(guest->ring.wake_fd);
	rh_queue_finish(&guest->ring.queue);
}

void guest_stop(struct guest *guest)
{
	guest_ask_back(guest);
	guest_wait_given_back(guest);
}

/* Make a read available, without a kick. */
void guest_add(struct guest *guest, unsigned int slot)
{
	struct virtio_blk_outhdr *header =
		ring_at(&guest->ring, guest->header[slot]);
	struct ring_buffer buffers[] = {
		{ guest->header[slot], 16, false },
		{ guest->data[slot], 512, true },
		{ guest->status[slot], 1, true },
	};

	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	*(uint8_t *)ring_at(&guest->ring, guest->status[slot]) = 0xff;
	ring_add(&guest->ring, (uint16_t)(slot * 4), buffers, 3);
}

/* As a driver with EVENT_IDX: only if the device asked for it. */
static void kick_if_wanted(struct guest *guest, unsigned int nr_added)
{
	uint16_t now = guest->ring.avail_idx;
	uint16_t event;

	atomic_thread_fence(memory_order_seq_cst);
	event = ring_load(ring_avail_event(&guest->ring));
	if ((uint16_t)(now - event - 1) < nr_added)
		rh_eventfd_signal(guest->kick);
}

void guest_read(struct guest *guest, unsigned int slot)
{
	guest_add(guest, slot);
	kick_if_wanted(guest, 1);
}

bool guest_take(struct guest *guest, unsigned int *slot)
{
	uint32_t head;
	uint32_t len;

	if (!ring_take_used(&guest->ring, &head, &len))
		return false;
	*slot = head / 4;
	assert_int_equal(len, 513);
	assert_int_equal(*(uint8_t *)ring_at(&guest->ring,
					     guest->status[*slot]),
			 VIRTIO_BLK_S_OK);
	return true;
}

/* Sleep until the device signals: a signal that is missing is a hang. */
unsigned int guest_wait(struct guest *guest)
{
	unsigned int slot;

	for (;;) {
		ring_store(ring_used_event(&guest->ring), guest->ring.used_idx);
		atomic_thread_fence(memory_order_seq_cst);
		if (guest_take(guest, &slot))
			return slot;
		wait_for(guest->call);
	}
}

void guest_keep_busy(struct guest *guest, unsigned int nr, unsigned int depth)
{
	for (unsigned int i = 0; i < depth; i++)
		guest_read(guest, i);
	for (unsigned int i = depth; i < nr; i++)
		guest_read(guest, guest_wait(guest));
	for (unsigned int i = 0; i < depth; i++)
		guest_wait(guest);
}

static void *run_flood(void *opaque)
{
	struct flood *flood = opaque;

	while (!atomic_load(&flood->ends))
		guest_keep_busy(flood->guest, 200, BENCH_NR_SLOTS);
	return NULL;
}

void flood_begin(struct flood *flood, struct guest *guest)
{
	flood->guest = guest;
	atomic_init(&flood->ends, false);
	pthread_create(&flood->thread, NULL, run_flood, flood);
}

void flood_end(struct flood *flood)
{
	atomic_store(&flood->ends, true);
	pthread_join(flood->thread, NULL);
}
