/* SPDX-License-Identifier: MIT */
/* disk - a disk whose every request is held against the model */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ringhost/device.h>

#include "common/base.h"
#include "server/virtio_blk_internal.h"
#include "tests/fuzz/disk.h"

#define CONFIG_BYTES	96
#define LARGE_BLOCK	1024
#define MAX_RANGE_BYTES 0x8000

enum answer {
	ANSWER_NOW,
	ANSWER_LATER,
	ANSWER_BUSY,
	ANSWER_FAILED,
};

/* The verbs below are called without a word about whose they are. */
static struct fuzz_disk *current;

int __real_rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret);
int __wrap_rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret);
void __real_rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
			  uint32_t written_bytes);
void __wrap_rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
			  uint32_t written_bytes);
void __real_rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
			    const char *why);
void __wrap_rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
			    const char *why);
void __real_rh_queue_abandon(struct rh_queue *queue, struct rh_chain *chain);
void __wrap_rh_queue_abandon(struct rh_queue *queue, struct rh_chain *chain);

/* Every piece is in guest memory, or has no address and the chain an error. */
static void check_side(const struct fuzz_disk *disk,
		       const struct rh_chain *chain, const struct iovec *iov,
		       unsigned int nr, size_t bytes)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t addr = guest_addr_of(disk->guest, iov[i].iov_base);

		FUZZ_CHECK(iov[i].iov_len && iov[i].iov_len <= bytes);
		bytes -= iov[i].iov_len;
		if (!iov[i].iov_base)
			FUZZ_CHECK(chain->error);
		else
			FUZZ_CHECK(guest_at(disk->guest, addr, iov[i].iov_len));
	}
	FUZZ_CHECK(!bytes);
}

static void open_writable(struct fuzz_disk *disk, struct disk_chain *known,
			  const struct rh_chain *chain)
{
	known->nr_open = 0;
	for (unsigned int i = 0; i < chain->nr_writable; i++) {
		const struct iovec *iov = &chain->writable[i];

		if (!iov->iov_base)
			continue;
		disk->is_overlaid |= guest_addr_of(disk->guest, iov->iov_base) <
				     GUEST_BASE + disk->setup.ring_bytes;
		known->open[known->nr_open].addr =
			guest_addr_of(disk->guest, iov->iov_base);
		known->open[known->nr_open++].bytes = iov->iov_len;
		guest_open(disk->guest,
			   guest_addr_of(disk->guest, iov->iov_base),
			   iov->iov_len);
	}
}

static void note_popped(struct fuzz_disk *disk, const struct rh_chain *chain)
{
	struct disk_chain *known = &disk->chains[chain->index];

	FUZZ_CHECK(chain->index < rh_queue_size(disk->queue));
	FUZZ_CHECK(!known->is_under_way && !known->is_done);
	FUZZ_CHECK(chain->nr_readable + chain->nr_writable <= RH_CHAIN_MAX_IOV);
	check_side(disk, chain, chain->readable, chain->nr_readable,
		   chain->readable_bytes);
	check_side(disk, chain, chain->writable, chain->nr_writable,
		   chain->writable_bytes);
	if (disk->next_expected < disk->nr_expected)
		FUZZ_CHECK(disk->expected[disk->next_expected++] ==
			   chain->index);
	known->turn = disk->nr_taken++;
	known->is_under_way = true;
	known->has_failed = false;
	known->next_op = 0;
	known->writable_bytes = chain->writable_bytes;
	known->nr_desc =
		container_of(chain, struct rh_chain_slot, chain)->nr_desc;
	open_writable(disk, known, chain);
	model_read(chain, &disk->model, &known->request);
	if (disk->setup.in_order)
		disk->ordered[disk->nr_ordered++] = chain->index;
}

int __wrap_rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret)
{
	bool was_broken = rh_queue_broken(queue);
	int result = __real_rh_queue_pop(queue, ret);

	FUZZ_CHECK(result <= 1 && (result >= 0) == !rh_queue_broken(queue));
	FUZZ_CHECK(!was_broken || result < 0);
	if (result == 1)
		note_popped(current, *ret);
	return result;
}

static void add_used(struct fuzz_disk *disk, uint16_t head)
{
	const struct disk_chain *known = &disk->chains[head];

	FUZZ_CHECK(disk->nr_used < DISK_MAX_USED);
	disk->used[disk->nr_used++] = (struct disk_used){
		.head = head,
		.nr_desc = known->nr_desc,
		.bytes = known->used_bytes,
	};
}

/* All that are done, from the one that was taken first on. */
static void add_used_in_order(struct fuzz_disk *disk)
{
	unsigned int nr = 0;

	while (nr < disk->nr_ordered &&
	       disk->chains[disk->ordered[nr]].is_done) {
		disk->chains[disk->ordered[nr]].is_done = false;
		add_used(disk, disk->ordered[nr++]);
	}
	disk->nr_ordered -= nr;
	memmove(disk->ordered, disk->ordered + nr,
		disk->nr_ordered * sizeof(disk->ordered[0]));
}

/* As the model says, or an error where the driver had one. */
static void check_answer(const struct disk_chain *known, uint32_t used_bytes)
{
	const struct model_request *request = &known->request;

	FUZZ_CHECK(!request->is_rejected);
	FUZZ_CHECK(used_bytes <= known->writable_bytes);
	if (known->has_failed) {
		FUZZ_CHECK(*request->answer == VIRTIO_BLK_S_IOERR);
		FUZZ_CHECK(used_bytes == 1);
		return;
	}
	FUZZ_CHECK(known->next_op == request->nr_ops);
	FUZZ_CHECK(*request->answer == request->status);
	FUZZ_CHECK(used_bytes == request->used_bytes);
}

void __wrap_rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
			  uint32_t written_bytes)
{
	struct disk_chain *known = &current->chains[chain->index];

	FUZZ_CHECK(known->is_under_way);
	check_answer(known, written_bytes);
	known->is_under_way = false;
	known->used_bytes = written_bytes;
	known->is_done = current->setup.in_order;
	if (current->setup.in_order)
		add_used_in_order(current);
	else
		add_used(current, chain->index);
	__real_rh_queue_push(queue, chain, written_bytes);
}

void __wrap_rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
			    const char *why)
{
	struct disk_chain *known = &current->chains[chain->index];

	FUZZ_CHECK(known->is_under_way && known->request.is_rejected);
	known->is_under_way = false;
	__real_rh_queue_reject(queue, chain, why);
}

void __wrap_rh_queue_abandon(struct rh_queue *queue, struct rh_chain *chain)
{
	struct disk_chain *known = &current->chains[chain->index];

	FUZZ_CHECK(known->is_under_way);
	known->is_under_way = false;
	__real_rh_queue_abandon(queue, chain);
}

/* All of them are the chain's own. */
static void check_iov(const struct fuzz_disk *disk,
		      const struct blk_request *request)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];
		uint64_t addr = guest_addr_of(disk->guest, iov->iov_base);

		FUZZ_CHECK(guest_at(disk->guest, addr, iov->iov_len));
		FUZZ_CHECK(request->op != BLK_READ ||
			   guest_is_open(disk->guest, addr, iov->iov_len));
		bytes += iov->iov_len;
	}
	FUZZ_CHECK(bytes == request->bytes);
}

static void check_op(const struct fuzz_disk *disk,
		     const struct disk_chain *known,
		     const struct blk_request *request)
{
	const struct model_op *op = &known->request.ops[known->next_op];
	bool writes = request->op != BLK_READ && request->op != BLK_FLUSH;

	FUZZ_CHECK(known->is_under_way && !known->has_failed);
	FUZZ_CHECK(known->next_op < known->request.nr_ops);
	FUZZ_CHECK(request->op == op->op);
	FUZZ_CHECK(request->offset_bytes == op->offset_bytes);
	FUZZ_CHECK(request->bytes == op->bytes);
	FUZZ_CHECK(!(request->flags & BLK_UNMAP) == !op->unmap);
	FUZZ_CHECK(!(request->flags & BLK_FUA) == !(writes && disk->durable));
	if (request->op == BLK_READ || request->op == BLK_WRITE)
		check_iov(disk, request);
	else
		FUZZ_CHECK(!request->nr_iov);
}

static void perform(struct fuzz_disk *disk, const struct blk_request *request)
{
	uint8_t *at = disk->storage + request->offset_bytes;

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		if (request->op == BLK_READ)
			memcpy(iov->iov_base, at, iov->iov_len);
		else
			memcpy(at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
	if (request->op == BLK_DISCARD || request->op == BLK_WRITE_ZEROES)
		memset(at, 0, request->bytes);
}

static struct disk_chain *chain_of(const struct blk_request *request)
{
	const struct blk_slot *slot =
		container_of(request, struct blk_slot, request);

	return &current->chains[slot->chain->index];
}

static void end_op(struct fuzz_disk *disk, const struct blk_request *request,
		   int result)
{
	struct disk_chain *known = chain_of(request);

	known->next_op++;
	known->has_failed = result;
	if (!result || request->op == BLK_READ)
		perform(disk, request);
}

static enum driver_answer submit(struct driver_context *context,
				 struct blk_request *request)
{
	struct fuzz_disk *disk =
		container_of(context, struct fuzz_disk, context);
	enum answer answer = disk->script & 3;

	disk->script >>= 2;
	check_op(disk, chain_of(request), request);
	while (disk->nr_writes && fuzz_more(disk->in)) {
		disk->nr_writes--;
		disk->was_written = true;
		guest_scribble(disk->guest, disk->in);
	}
	if (answer == ANSWER_BUSY)
		return DRIVER_BUSY;
	if (answer == ANSWER_LATER) {
		FUZZ_CHECK(disk->nr_held < DISK_MAX_HEADS);
		disk->held[disk->nr_held++] = request;
		return DRIVER_QUEUED;
	}
	request->result = answer == ANSWER_FAILED ? -EIO : 0;
	end_op(disk, request, request->result);
	return DRIVER_COMPLETED;
}

void disk_complete(struct fuzz_disk *disk, unsigned int held, int result)
{
	struct blk_request *request;

	if (!disk->nr_held)
		return;
	held %= disk->nr_held;
	request = disk->held[held];
	disk->held[held] = disk->held[--disk->nr_held];
	end_op(disk, request, result);
	request->complete(request, result);
}

void disk_drain(struct fuzz_disk *disk)
{
	disk->script = 0;
	while (disk->nr_held)
		disk_complete(disk, disk->nr_held - 1, 0);
	FUZZ_CHECK(blk_queue_retry(disk->blk_queue));
	FUZZ_CHECK(!blk_queue_under_way(disk->blk_queue));
}

static void no_progress(void *opaque)
{
	(void)opaque;
}

static const struct driver_ops ops = { .name = "fuzz", .submit = submit };

void disk_create(struct fuzz_disk *disk, struct fuzz_guest *guest)
{
	disk->guest = guest;
	disk->storage = malloc(DISK_STORAGE_BYTES);
	FUZZ_CHECK(disk->storage);
	disk->driver.ops = &ops;
	disk->context.driver = &disk->driver;
	current = disk;
}

static void set_size(struct fuzz_disk *disk, uint64_t size_bytes)
{
	disk->driver.info.size_bytes = size_bytes;
	disk->model.size_bytes =
		align_down(size_bytes, disk->model.block_bytes);
}

/* What a user asks for, or a host has, and cannot be */
static void refuse_impossible(struct fuzz_disk *disk,
			      struct virtio_blk_options options)
{
	switch (disk->setup.impossible % 4) {
	case 0:
		return;
	case 1:
		options.block_bytes = 513;
		break;
	case 2:
		options.nr_queues = RH_MAX_QUEUES + 1;
		break;
	case 3:
		disk->driver.info.logical_block_bytes = 520;
		break;
	}
	FUZZ_CHECK(virtio_blk_create(&options, &disk->driver, &disk->blk) ==
		   -EINVAL);
	FUZZ_CHECK(!disk->blk);
	disk->driver.info.logical_block_bytes = 512;
}

static void set_up(struct fuzz_disk *disk, const struct disk_setup *setup)
{
	const struct virtio_blk_options options = {
		.name = "fuzz",
		.serial = "a serial number that is too long",
		.block_bytes = setup->large_blocks ? LARGE_BLOCK : 0,
		.read_only = setup->read_only,
		.nr_queues = 1,
		.queue_size = DISK_MAX_HEADS,
	};

	disk->driver.info = (struct driver_info){
		.logical_block_bytes = 512,
		.physical_block_bytes = 4096,
		.can_discard = !setup->cannot_discard,
		.can_write_zeroes = !setup->cannot_write_zeroes,
		.max_discard_bytes = MAX_RANGE_BYTES,
		.max_write_zeroes_bytes = MAX_RANGE_BYTES,
	};
	disk->model = (struct model_disk){
		.block_bytes = setup->large_blocks ? LARGE_BLOCK : 512,
		.read_only = setup->read_only,
		.can_discard = !setup->cannot_discard,
		.can_write_zeroes = !setup->cannot_write_zeroes,
		.max_sectors = MAX_RANGE_BYTES / 512,
	};
	set_size(disk, DISK_STORAGE_BYTES);
	refuse_impossible(disk, options);
	FUZZ_CHECK(!virtio_blk_create(&options, &disk->driver, &disk->blk));
	FUZZ_CHECK(virtio_blk_config_bytes(disk->blk) == CONFIG_BYTES);
}

void disk_begin(struct fuzz_disk *disk, struct rh_queue *queue,
		struct fuzz_input *in, const struct disk_setup *setup)
{
	disk->queue = queue;
	disk->in = in;
	disk->setup = *setup;
	disk->script = 0;
	disk->nr_writes = 0;
	disk->nr_held = 0;
	disk->nr_taken = 0;
	disk->durable = true;
	disk->wants_cache = true;
	disk->has_flush = false;
	set_up(disk, setup);
}

/* Each request that the model let through is counted once at most. */
static void check_counters(const struct fuzz_disk *disk)
{
	struct blk_counters sum;

	virtio_blk_counters(disk->blk, &sum);
	FUZZ_CHECK(sum.reads + sum.writes + sum.flushes + sum.others <=
		   disk->nr_taken);
	FUZZ_CHECK(sum.errors <= disk->nr_taken);
}

void disk_end(struct fuzz_disk *disk)
{
	check_counters(disk);
	virtio_blk_destroy(disk->blk);
	disk->blk = NULL;
}

void disk_start(struct fuzz_disk *disk)
{
	const struct blk_queue_host host = {
		.context = &disk->context,
		.clock = &disk->clock,
		.progress = no_progress,
	};

	disk->nr_ordered = 0;
	disk->nr_used = 0;
	disk->nr_expected = 0;
	disk->next_expected = 0;
	disk->is_overlaid = false;
	disk->was_written = false;
	for (unsigned int i = 0; i < DISK_MAX_HEADS; i++) {
		disk->chains[i].is_under_way = false;
		disk->chains[i].is_done = false;
	}
	FUZZ_CHECK(!blk_queue_create(disk->blk, disk->queue, &host,
				     &disk->blk_queue));
}

void disk_stop(struct fuzz_disk *disk)
{
	blk_queue_destroy(disk->blk_queue);
	disk->blk_queue = NULL;
}

static void change_config(struct fuzz_disk *disk)
{
	uint32_t offset = fuzz_u8(disk->in);
	uint32_t bytes = fuzz_u8(disk->in) % 8;
	uint8_t data[8];
	int error;

	fuzz_bytes(disk->in, data, sizeof(data));
	error = virtio_blk_config_set(disk->blk, offset, data, bytes);
	FUZZ_CHECK(!error == (offset == 32 && bytes == 1 && data[0] <= 1));
	if (!error)
		disk->wants_cache = data[0];
}

static void read_config(struct fuzz_disk *disk)
{
	uint8_t data[256];
	uint32_t offset = fuzz_u8(disk->in);
	uint32_t bytes = fuzz_u8(disk->in);
	int error = virtio_blk_config_get(disk->blk, offset, data, bytes);

	FUZZ_CHECK(!error == (offset + bytes <= CONFIG_BYTES));
}

void disk_change(struct fuzz_disk *disk)
{
	uint8_t what = fuzz_u8(disk->in);

	switch (what % 4) {
	case 0:
		set_size(disk, (uint64_t)(what / 4) * 512);
		virtio_blk_resize(disk->blk);
		break;
	case 1:
		change_config(disk);
		break;
	case 2:
		read_config(disk);
		break;
	case 3:
		disk->has_flush = what & 4;
		virtio_blk_features_set(
			disk->blk,
			disk->has_flush ? FEATURE_BIT(VIRTIO_BLK_F_FLUSH) : 0);
		break;
	}
	disk->durable = !disk->wants_cache || !disk->has_flush;
}

void disk_narrow(struct fuzz_disk *disk)
{
	guest_close(disk->guest);
	for (unsigned int i = 0; i < DISK_MAX_HEADS; i++) {
		const struct disk_chain *known = &disk->chains[i];

		for (unsigned int k = 0;
		     known->is_under_way && k < known->nr_open; k++)
			guest_open(disk->guest, known->open[k].addr,
				   known->open[k].bytes);
	}
}

static bool is_unpublished(const struct fuzz_disk *disk, uint16_t head)
{
	for (unsigned int i = 0; i < disk->nr_used; i++) {
		if (disk->used[i].head == head)
			return true;
	}
	return false;
}

unsigned int disk_list_taken(const struct fuzz_disk *disk, uint16_t *heads)
{
	unsigned int nr = 0;

	for (uint16_t head = 0; head < DISK_MAX_HEADS; head++) {
		const struct disk_chain *known = &disk->chains[head];
		unsigned int at = nr;

		if (!known->is_under_way && !known->is_done &&
		    !is_unpublished(disk, head))
			continue;
		while (at && disk->chains[heads[at - 1]].turn > known->turn) {
			heads[at] = heads[at - 1];
			at--;
		}
		heads[at] = head;
		nr++;
	}
	for (unsigned int i = disk->next_expected; i < disk->nr_expected; i++) {
		FUZZ_CHECK(nr < DISK_MAX_HEADS);
		heads[nr++] = disk->expected[i];
	}
	return nr;
}

void disk_expect(struct fuzz_disk *disk, const uint16_t *heads, unsigned int nr)
{
	memcpy(disk->expected, heads, nr * sizeof(*heads));
	disk->nr_expected = nr;
	disk->next_expected = 0;
}
