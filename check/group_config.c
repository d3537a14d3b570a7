/* SPDX-License-Identifier: MIT */
/*
 * group_config - the configuration space: what it tells, how it is read, and
 * the one field that can be written
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/shape.h"

#define WCE	    offsetof(struct virtio_blk_config, wce)
#define F_WCE	    FE_BIT(11) /* VIRTIO_BLK_F_CONFIG_WCE */
#define CONFIG_FAR  0x10000u
#define FLAG_WRITE  0u
#define FLAGS_WRONG 0x80000002u

/* The reply as it comes, for the cases that look at its sizes. */
static int get_config(struct vm *vm, uint32_t offset, uint32_t size,
		      struct fe_message *reply)
{
	fe_message_init(reply, FE_GET_CONFIG, FE_CONFIG_HEADER_BYTES + size);
	reply->payload.config.offset = offset;
	reply->payload.config.size = size;
	return fe_session_query(&vm->session, reply);
}

static int set_config(struct vm *vm, uint32_t offset, uint32_t size,
		      uint32_t flags, const void *data)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_CONFIG, FE_CONFIG_HEADER_BYTES + size);
	message.payload.config.offset = offset;
	message.payload.config.size = size;
	message.payload.config.flags = flags;
	memcpy(message.payload.config.data, data, size);
	return fe_session_exchange(&vm->session, &message, NULL, 0);
}

static uint8_t get_wce(struct check *check, struct vm *vm)
{
	uint8_t data[WCE + 1];

	/* from the beginning, for those that know no offsets */
	check_done(check,
		   fe_session_get_config(&vm->session, 0, data, sizeof(data)),
		   "GET_CONFIG of %zu bytes, the last of which is writeback",
		   sizeof(data));
	return data[WCE];
}

static void needs_no_rings(struct check *check)
{
	struct vm *vm = check_dial(check);
	struct fe_message reply;

	check_done(check,
		   fe_session_set(&vm->session, FE_SET_PROTOCOL_FEATURES,
				  FE_PROTOCOL_CONFIG),
		   "SET_PROTOCOL_FEATURES");
	check_done(check, get_config(vm, 0, TARGET_CONFIG_BYTES, &reply),
		   "GET_CONFIG before features, memory and rings");
}

static void size_matches_the_request(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	struct fe_message reply;

	for (uint32_t size = 1; size <= TARGET_CONFIG_BYTES; size++) {
		check_done(check, get_config(vm, 0, size, &reply),
			   "GET_CONFIG of %u bytes", size);
		if (reply.size != FE_CONFIG_HEADER_BYTES + size ||
		    reply.payload.config.size != size)
			check_fail(check,
				   "for %u bytes from 0 came a payload of %u "
				   "bytes that tells a size of %u",
				   size, reply.size, reply.payload.config.size);
		if (memcmp(reply.payload.config.data, &check->target->config,
			   size))
			check_fail(check,
				   "%u bytes from 0 are not the beginning of "
				   "the %d bytes read before",
				   size, TARGET_CONFIG_BYTES);
	}
}

static void offset_is_honoured(struct check *check)
{
	const uint8_t *whole = (const uint8_t *)&check->target->config;
	struct vm *vm = check_connect(check, NULL);
	uint8_t part[TARGET_CONFIG_BYTES];

	for (uint32_t at = 0; at < TARGET_CONFIG_BYTES; at += 4) {
		check_done(check,
			   fe_session_get_config(&vm->session, at, part, 4),
			   "GET_CONFIG of 4 bytes from %u", at);
		if (memcmp(part, whole + at, 4))
			check_fail(check,
				   "4 bytes from %u are %02x %02x %02x %02x, "
				   "in the whole they are %02x %02x %02x %02x",
				   at, part[0], part[1], part[2], part[3],
				   whole[at], whole[at + 1], whole[at + 2],
				   whole[at + 3]);
	}
}

static void can_be_read_while_rings_run(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_message reply;

	for (unsigned int i = 0; i < 50; i++) {
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_done(check, get_config(vm, 0, 8, &reply),
			   "GET_CONFIG while a request is under way");
		check_reap(check, vm, 0);
	}
}

static void queue_number_agrees(struct check *check)
{
	unsigned int nr = le16toh(check->target->config.num_queues);

	if (nr != check->target->nr_queues)
		check_fail(check, "num_queues is %u, GET_QUEUE_NUM says %llu",
			   nr, (unsigned long long)check->target->nr_queues);
}

static void block_size_is_possible(struct check *check)
{
	uint32_t bytes = le32toh(check->target->config.blk_size);

	if (!is_power_of_2(bytes) || bytes < 512)
		check_fail(check, "blk_size is %u", bytes);
}

static void capacity_is_in_whole_blocks(struct check *check)
{
	const struct target *target = check->target;

	if (target->nr_sectors % (target->block_bytes / 512))
		check_fail(check,
			   "%llu sectors are no multiple of blocks of "
			   "%u bytes",
			   (unsigned long long)target->nr_sectors,
			   target->block_bytes);
}

static void seg_max_allows_requests(struct check *check)
{
	if (!le32toh(check->target->config.seg_max))
		check_fail(check, "seg_max is 0: no data in any request");
}

static void size_max_allows_requests(struct check *check)
{
	if (!le32toh(check->target->config.size_max))
		check_fail(check, "size_max is 0: no data in any segment");
}

static void topology_is_possible(struct check *check)
{
	const struct virtio_blk_config *config = &check->target->config;

	if (config->physical_block_exp > 15)
		check_fail(check,
			   "physical_block_exp is %u: a physical block "
			   "of 2^%u logical ones",
			   config->physical_block_exp,
			   config->physical_block_exp);
	if (config->alignment_offset >> config->physical_block_exp)
		check_fail(check,
			   "alignment_offset is %u, beyond a physical "
			   "block of %u logical ones",
			   config->alignment_offset,
			   1u << config->physical_block_exp);
}

static void discard_limits_are_told(struct check *check)
{
	const struct virtio_blk_config *config = &check->target->config;

	if (!config->max_discard_sectors || !config->max_discard_seg)
		check_fail(check,
			   "max_discard_sectors is %u, max_discard_seg "
			   "is %u: no discard is possible",
			   le32toh(config->max_discard_sectors),
			   le32toh(config->max_discard_seg));
}

static void write_zeroes_limits_are_told(struct check *check)
{
	const struct virtio_blk_config *config = &check->target->config;

	if (!config->max_write_zeroes_sectors || !config->max_write_zeroes_seg)
		check_fail(check,
			   "max_write_zeroes_sectors is %u, "
			   "max_write_zeroes_seg is %u: no write zeroes "
			   "is possible",
			   le32toh(config->max_write_zeroes_sectors),
			   le32toh(config->max_write_zeroes_seg));
	if (config->write_zeroes_may_unmap > 1)
		check_fail(check, "write_zeroes_may_unmap is %u",
			   config->write_zeroes_may_unmap);
}

static void write_cache_is_0_or_1(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint8_t wce = get_wce(check, vm);

	if (wce > 1)
		check_fail(check, "writeback is %u", wce);
}

static void write_cache_can_be_switched(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 4; i++) {
		uint8_t wce = i % 2;

		check_done(check, set_config(vm, WCE, 1, FLAG_WRITE, &wce),
			   "SET_CONFIG of writeback to %u", wce);
		if (get_wce(check, vm) != wce)
			check_fail(check,
				   "writeback was set to %u, and is %u "
				   "when it is read back",
				   wce, !wce);
		check_read(check, vm, 0);
	}
}

/* The value that it has, so that nothing changes where it is taken. */
static void read_only_fields_are_not_taken(struct check *check)
{
	const uint8_t *whole = (const uint8_t *)&check->target->config;
	const uint32_t offsets[] = {
		offsetof(struct virtio_blk_config, capacity),
		offsetof(struct virtio_blk_config, seg_max),
		offsetof(struct virtio_blk_config, blk_size),
	};
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		vm = check_open(check, NULL);
		check_refused(check,
			      set_config(vm, offsets[i], 4, FLAG_WRITE,
					 whole + offsets[i]),
			      "SET_CONFIG of the 4 read-only bytes from %u",
			      offsets[i]);
	}
}

static void read_only_fields_do_not_change(struct check *check)
{
	const uint8_t ones[4] = { 0xff, 0xff, 0xff, 0xff };
	struct vm *vm = check_open(check, NULL);
	struct fe_message reply;

	for (uint32_t at = 0; at + 4 < WCE; at += 4)
		if (set_config(vm, at, 4, FLAG_WRITE, ones) == -ECONNRESET)
			vm = check_open(check, NULL);
	if (get_config(vm, 0, WCE, &reply))
		check_done(check,
			   get_config(check_open(check, NULL), 0, WCE, &reply),
			   "GET_CONFIG of a new session");
	if (memcmp(reply.payload.config.data, &check->target->config, WCE))
		check_fail(check, "the configuration space has changed");
}

static void bad_writes_are_not_acknowledged(struct check *check)
{
	const uint8_t data[8] = { 2, 2, 2, 2, 2, 2, 2, 2 };
	const struct {
		uint32_t offset;
		uint32_t size;
		uint32_t flags;
		const char *what;
	} rows[] = {
		{ WCE, 1, FLAG_WRITE, "of writeback to 2" },
		{ WCE, 8, FLAG_WRITE, "of writeback and what follows" },
		{ CONFIG_FAR, 1, FLAG_WRITE, "far behind the space" },
		{ UINT32_MAX, 1, FLAG_WRITE, "at offset 0xffffffff" },
		{ WCE, 1, FLAGS_WRONG, "with flags that do not exist" },
	};
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vm = check_open(check, NULL);
		check_refused(check,
			      set_config(vm, rows[i].offset, rows[i].size,
					 rows[i].flags, data),
			      "SET_CONFIG %s", rows[i].what);
	}
}

static void reads_behind_the_end_fail(struct check *check)
{
	const uint32_t offsets[] = { CONFIG_FAR, 0x7fffffff, UINT32_MAX - 3 };
	struct fe_message reply;
	struct vm *vm;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		vm = check_connect(check, NULL);
		error = get_config(vm, offsets[i], 8, &reply);
		if (error == -ECONNRESET)
			continue;
		check_done(check, error, "GET_CONFIG of 8 bytes from 0x%x",
			   offsets[i]);
		if (reply.size > FE_CONFIG_HEADER_BYTES &&
		    reply.payload.config.size)
			check_fail(check,
				   "GET_CONFIG of 8 bytes from 0x%x, which is "
				   "far behind the end, brought %u bytes",
				   offsets[i], reply.payload.config.size);
	}
}

static void size_beyond_the_payload_is_refused(struct check *check)
{
	const uint32_t sizes[] = { 9, 257, 0x1000, 0x7fffffff, UINT32_MAX };
	struct fe_message reply;
	struct vm *vm;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		vm = check_connect(check, NULL);
		fe_message_init(&reply, FE_GET_CONFIG,
				FE_CONFIG_HEADER_BYTES + 8);
		reply.payload.config.size = sizes[i];
		error = fe_session_query(&vm->session, &reply);
		if (error == -ECONNRESET)
			continue;
		check_done(check, error,
			   "GET_CONFIG of %u bytes in a payload for 8",
			   sizes[i]);
		if (reply.size > FE_CONFIG_HEADER_BYTES + sizes[i])
			check_fail(check,
				   "GET_CONFIG of %u bytes in a payload for 8 "
				   "brought %u",
				   sizes[i], reply.size);
	}
}

static const struct check_case cases[] = {
	{ .name = "config-needs-no-rings",
	  .section = "vhost-user: GET_CONFIG",
	  .promise = "the configuration space can be read as soon as CONFIG is "
		     "negotiated",
	  .run = needs_no_rings },
	{ .name = "config-size-matches-the-request",
	  .section = "vhost-user: GET_CONFIG",
	  .promise = "the reply's payload has the size that was asked for",
	  .run = size_matches_the_request },
	{ .name = "config-offset-is-honoured",
	  .section = "vhost-user: Virtio device config space",
	  .promise = "the bytes come from the offset that was asked for",
	  .run = offset_is_honoured },
	{ .name = "config-can-be-read-while-rings-run",
	  .section = "vhost-user: GET_CONFIG",
	  .promise = "the configuration space can be read at any time",
	  .run = can_be_read_while_rings_run },
	{ .name = "queue-number-agrees",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "num_queues is what GET_QUEUE_NUM says",
	  .run = queue_number_agrees,
	  .features = FE_BIT(VIRTIO_BLK_F_MQ),
	  .protocol = FE_PROTOCOL_MQ },
	{ .name = "block-size-is-possible",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "blk_size is a power of two, of 512 bytes at least",
	  .run = block_size_is_possible,
	  .features = FE_BIT(VIRTIO_BLK_F_BLK_SIZE) },
	{ .name = "capacity-is-in-whole-blocks",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "the capacity, in sectors of 512 bytes, ends with a block",
	  .run = capacity_is_in_whole_blocks },
	{ .name = "seg-max-allows-requests",
	  .section = "virtio 1.3: 5.2.3",
	  .promise = "a request may have one segment at least",
	  .run = seg_max_allows_requests,
	  .features = FE_BIT(VIRTIO_BLK_F_SEG_MAX) },
	{ .name = "size-max-allows-requests",
	  .section = "virtio 1.3: 5.2.3",
	  .promise = "a segment may have some bytes",
	  .run = size_max_allows_requests,
	  .features = FE_BIT(VIRTIO_BLK_F_SIZE_MAX) },
	{ .name = "topology-is-possible",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "a physical block is 2^n logical ones, and the first one "
		     "begins inside of one",
	  .run = topology_is_possible,
	  .features = FE_BIT(VIRTIO_BLK_F_TOPOLOGY) },
	{ .name = "discard-limits-are-told",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "a disk that can discard tells how much at once",
	  .run = discard_limits_are_told,
	  .features = FE_BIT(VIRTIO_BLK_F_DISCARD) },
	{ .name = "write-zeroes-limits-are-told",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "a disk that can write zeroes tells how much at once, and "
		     "whether it may unmap",
	  .run = write_zeroes_limits_are_told,
	  .features = FE_BIT(VIRTIO_BLK_F_WRITE_ZEROES) },
	{ .name = "write-cache-is-0-or-1",
	  .section = "virtio 1.3: 5.2.5.2",
	  .promise = "writeback tells whether there is a cache: 0 or 1",
	  .run = write_cache_is_0_or_1,
	  .features = F_WCE },
	{ .name = "write-cache-can-be-switched",
	  .section = "virtio 1.3: 5.2.5.1",
	  .promise = "the driver may set writeback, and reads back what it set",
	  .run = write_cache_can_be_switched,
	  .features = F_WCE },
	{ .name = "read-only-fields-are-not-taken",
	  .section = "vhost-user: SET_CONFIG",
	  .promise = "a back-end must not accept SET_CONFIG for read-only "
		     "fields outside of migration",
	  .run = read_only_fields_are_not_taken,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "read-only-fields-do-not-change",
	  .section = "vhost-user: SET_CONFIG",
	  .promise = "the configuration space is the same after attempts to "
		     "write its read-only fields",
	  .run = read_only_fields_do_not_change,
	  .flags = CHECK_HOSTILE },
	{ .name = "bad-config-writes-are-not-acknowledged",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "success is told of a SET_CONFIG that was done only, and "
		     "its flags are checked",
	  .run = bad_writes_are_not_acknowledged,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "config-reads-behind-the-end-fail",
	  .section = "vhost-user: GET_CONFIG",
	  .promise = "a read of what does not exist is answered with no data",
	  .run = reads_behind_the_end_fail,
	  .flags = CHECK_HOSTILE },
	{ .name = "config-size-beyond-the-payload-is-refused",
	  .section = "vhost-user: GET_CONFIG",
	  .promise = "a read of more than its payload has room for is answered "
		     "with no data, or with no more than it asked for",
	  .run = size_beyond_the_payload_is_refused,
	  .flags = CHECK_HOSTILE },
};

const struct check_group group_config =
	CHECK_GROUP("config", "the configuration space", cases);
