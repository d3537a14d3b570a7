/* SPDX-License-Identifier: MIT */
/*
 * group_log - the migration log: what is marked, where, and when
 *
 * A back-end may mark a page a little after the driver can see the request
 * done, but not after it has answered GET_VRING_BASE: that is when the marks
 * are looked at.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check/groups.h"
#include "common/fd.h"
#include "tests/frontend/dirty_log.h"

#define PAGE	 FE_LOG_PAGE_BYTES
#define NR_READS 8
/* Behind all memory of a vm, for what the front-end logs elsewhere */
#define BEYOND	   (UINT64_C(1) << 30)
#define MORE_BYTES (BEYOND / PAGE / 8 + 16)

/* A disk at work, with a log of so many bytes that is not in use yet */
static struct vm *open_disk(struct check *check, struct fe_dirty_log *log,
			    uint64_t bytes, uint64_t features)
{
	struct vm *vm = check_dial(check);

	check_done(check,
		   fe_session_negotiate(
			   &vm->session,
			   (FE_USUAL_FEATURES & ~FE_FEATURE_NOTIFY_ON_EMPTY) |
				   features,
			   FE_USUAL_PROTOCOL | FE_PROTOCOL_LOG_SHMFD),
		   "negotiate with LOG_SHMFD");
	check_done(check, vm_prepare(vm, check->target, NULL),
		   "make memory on this side");
	check_done(check, fe_session_set_memory(&vm->session, &vm->memory),
		   "show the memory");
	check_done(check,
		   fe_session_start_vring(&vm->session, &vm->vrings[0], 0,
					  fe_vring_base(&vm->vrings[0])),
		   "start a ring");
	check_done(check, fe_dirty_log_init(log, bytes), "make a log");
	return vm;
}

static void switch_data(struct check *check, struct vm *vm, bool on)
{
	check_done(check, fe_session_log_data(&vm->session, on),
		   "SET_FEATURES that switches VHOST_F_LOG_ALL %s, with the "
		   "ring running",
		   on ? "on" : "off");
}

static void switch_ring(struct check *check, struct vm *vm, bool on)
{
	check_done(check,
		   fe_session_log_vring(&vm->session, &vm->vrings[0], on),
		   "SET_VRING_ADDR that switches VHOST_VRING_F_LOG %s, with "
		   "the ring running",
		   on ? "on" : "off");
}

static void set_log(struct check *check, struct vm *vm,
		    const struct fe_dirty_log *log)
{
	check_done(check, fe_session_set_log(&vm->session, log),
		   "SET_LOG_BASE, with the ring running");
}

/* The same with its log in use for buffers */
static struct vm *open_logged(struct check *check, struct fe_dirty_log *log)
{
	struct vm *vm = open_disk(check, log, MORE_BYTES, 0);

	set_log(check, vm, log);
	switch_data(check, vm, true);
	return vm;
}

static void stop_ring(struct check *check, struct vm *vm)
{
	uint32_t base;

	check_done(check, fe_session_get_base(&vm->session, 0, &base),
		   "GET_VRING_BASE");
}

/* One read. Returns where its data lies. */
static uint64_t read_one(struct check *check, struct vm *vm)
{
	uint64_t addr = check_add_read(check, vm, 0)->data_addr;

	fe_vring_submit(&vm->vrings[0]);
	check_reap(check, vm, 0);
	return addr;
}

static void check_marked(struct check *check, const struct fe_dirty_log *log,
			 uint64_t addr, const char *what)
{
	if (!fe_dirty_log_has(log, addr))
		check_fail(check, "the page of %s (0x%llx) is not marked", what,
			   (unsigned long long)addr);
}

static void check_none_marked(struct check *check,
			      const struct fe_dirty_log *log, const char *when)
{
	uint64_t nr = fe_dirty_log_count(log);

	if (nr)
		check_fail(check, "%llu pages are marked %s",
			   (unsigned long long)nr, when);
}

static void log_base_is_answered(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, MORE_BYTES, 0);

	check_done(check, fe_session_set_log(&vm->session, &log),
		   "SET_LOG_BASE without NEED_REPLY");
	check_done(check, fe_session_sync(&vm->session),
		   "GET_FEATURES behind it");
}

static void read_marks_data_and_status(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);
	uint64_t addr = read_one(check, vm);

	stop_ring(check, vm);
	for (uint32_t at = 0; at < check->target->unit_bytes; at += PAGE)
		check_marked(check, &log, addr + at, "a read's data");
	check_marked(check, &log, addr + check->target->unit_bytes,
		     "a read's status byte");
}

static void device_marks_no_page_that_it_only_reads(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);
	uint64_t addr = read_one(check, vm);

	stop_ring(check, vm);
	if (fe_dirty_log_has(&log, addr - FE_BLK_HEADER_BYTES))
		check_fail(check, "the page of a request's header is marked");
}

static void used_ring_is_marked(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);

	switch_ring(check, vm, true);
	read_one(check, vm);
	stop_ring(check, vm);
	check_marked(check, &log, vm->vrings[0].used_addr, "the used ring");
}

static void used_ring_is_marked_at_its_log_address(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);
	const struct fe_vring *vring = &vm->vrings[0];
	struct fe_message message;

	fe_message_init(&message, FE_SET_VRING_ADDR,
			sizeof(message.payload.addr));
	message.payload.addr = (struct fe_vring_addr){
		.flags = 1,
		.desc = fe_memory_user_addr(&vm->memory, vring->desc_addr),
		.avail = fe_memory_user_addr(&vm->memory, vring->avail_addr),
		.used = fe_memory_user_addr(&vm->memory, vring->used_addr),
		.log = BEYOND + 5 * PAGE,
	};
	check_done(check, fe_session_exchange(&vm->session, &message, NULL, 0),
		   "SET_VRING_ADDR with a log address outside memory");
	read_one(check, vm);
	stop_ring(check, vm);
	check_marked(check, &log, BEYOND + 5 * PAGE, "the log address");
}

static void packed_ring_is_marked(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, MORE_BYTES, FE_FEATURE_PACKED);
	uint64_t addr;

	set_log(check, vm, &log);
	switch_data(check, vm, true);
	switch_ring(check, vm, true);
	addr = read_one(check, vm);
	stop_ring(check, vm);
	check_marked(check, &log, addr, "a read's data");
	check_marked(check, &log, vm->vrings[0].desc_addr,
		     "the descriptor ring");
}

static void log_is_silent_until_it_is_switched_on(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, MORE_BYTES, 0);

	set_log(check, vm, &log);
	read_one(check, vm);
	stop_ring(check, vm);
	check_none_marked(check, &log, "though VHOST_F_LOG_ALL is off");
}

static void log_is_silent_when_it_is_switched_off(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);

	switch_ring(check, vm, true);
	read_one(check, vm);
	switch_data(check, vm, false);
	switch_ring(check, vm, false);
	fe_dirty_log_clear(&log);
	read_one(check, vm);
	stop_ring(check, vm);
	check_none_marked(check, &log, "after it was switched off");
}

static void stopped_ring_has_marked_all(struct check *check)
{
	struct fe_blk_request *requests[NR_READS];
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);

	for (unsigned int i = 0; i < NR_READS; i++)
		requests[i] = check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
	stop_ring(check, vm);
	for (unsigned int i = 0; i < NR_READS; i++) {
		if (*requests[i]->status_byte == FE_BLK_NO_STATUS)
			continue;
		check_marked(check, &log, requests[i]->data_addr,
			     "a read that is done");
	}
}

static void log_may_be_replaced_while_rings_run(struct check *check)
{
	struct fe_dirty_log logs[2];
	struct vm *vm = open_logged(check, &logs[0]);
	uint64_t addr;

	check_done(check, fe_dirty_log_init(&logs[1], MORE_BYTES),
		   "make a log");
	for (unsigned int i = 1; i < 10; i++) {
		set_log(check, vm, &logs[i % 2]);
		fe_dirty_log_clear(&logs[(i + 1) % 2]);
		addr = read_one(check, vm);
	}
	stop_ring(check, vm);
	check_marked(check, &logs[1], addr, "a read's data");
	check_none_marked(check, &logs[0], "in the log that was replaced");
}

static void log_begins_at_its_offset(struct check *check)
{
	const uint64_t offset = 16 * PAGE;
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, offset + MORE_BYTES, 0);
	struct fe_dirty_log view = log;
	uint64_t addr;

	check_done(check,
		   fe_session_set_log_range(&vm->session, log.fd, MORE_BYTES,
					    offset),
		   "SET_LOG_BASE with an offset of %llu",
		   (unsigned long long)offset);
	switch_data(check, vm, true);
	addr = read_one(check, vm);
	stop_ring(check, vm);
	view.bitmap += offset;
	view.bytes -= offset;
	check_marked(check, &view, addr, "a read's data");
	memset(view.bitmap, 0, view.bytes);
	check_none_marked(check, &log, "in front of the log's offset");
}

static void log_fd_is_taken(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, MORE_BYTES, 0);
	cleanup_close int fd = rh_eventfd_create();

	set_log(check, vm, &log);
	check_done(check, fe_session_set_log_fd(&vm->session, fd),
		   "SET_LOG_FD with an eventfd");
	switch_data(check, vm, true);
	read_one(check, vm);
}

static void log_too_small_is_not_exceeded(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, PAGE, 0);
	int error = fe_session_set_log_range(&vm->session, log.fd, 1, 0);

	if (!error)
		error = fe_session_log_data(&vm->session, true);
	if (!error)
		read_one(check, vm);
	check_harmless(check, error, "a log of one byte");
	log.bitmap[0] = 0;
	check_none_marked(check, &log, "behind the end of the log");
}

static void log_that_wraps_is_refused(struct check *check)
{
	static const uint64_t sizes[] = { UINT64_MAX - PAGE + 1,
					  UINT64_C(1) << 63 };
	static const uint64_t offsets[] = { 2 * PAGE, UINT64_C(1) << 63 };
	struct fe_dirty_log log;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vm *vm = open_disk(check, &log, PAGE, 0);

		check_refused(check,
			      fe_session_set_log_range(&vm->session, log.fd,
						       sizes[i], offsets[i]),
			      "SET_LOG_BASE of 0x%llx bytes at 0x%llx",
			      (unsigned long long)sizes[i],
			      (unsigned long long)offsets[i]);
		fe_dirty_log_deinit(&log);
		vm_close(vm);
	}
}

static void empty_log_is_refused(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, PAGE, 0);

	check_refused(check,
		      fe_session_set_log_range(&vm->session, log.fd, 0, 0),
		      "SET_LOG_BASE of no bytes");
}

static void log_beyond_its_file_does_no_harm(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_disk(check, &log, PAGE, 0);
	int error;

	if (ftruncate(log.fd, 0) < 0)
		check_done(check, -errno, "shrink the log of this side");
	error = fe_session_set_log_range(&vm->session, log.fd, MORE_BYTES, 0);
	if (!error)
		error = fe_session_log_data(&vm->session, true);
	if (!error) {
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		error = fe_session_sync(&vm->session);
	}
	check_harmless(check, error, "a log behind the end of its file");
}

static void log_whose_file_shrinks_does_no_harm(struct check *check)
{
	struct fe_dirty_log log;
	struct vm *vm = open_logged(check, &log);

	/* from here on nobody may touch it, on this side neither */
	if (ftruncate(log.fd, 0) < 0)
		check_done(check, -errno, "shrink the log of this side");
	check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
	check_harmless(check, fe_session_sync(&vm->session),
		       "a log whose file was shrunk to nothing");
}

#define NEEDS .features = FE_FEATURE_LOG_ALL, .protocol = FE_PROTOCOL_LOG_SHMFD

static const struct check_case cases[] = {
	{ .name = "log-base-is-answered",
	  .section = "vhost-user: Communication",
	  .promise = "SET_LOG_BASE is answered, also if no reply was asked for",
	  .run = log_base_is_answered,
	  NEEDS },
	{ .name = "read-marks-data-and-status",
	  .section = "vhost-user: Migration",
	  .promise = "with VHOST_F_LOG_ALL each page of a buffer that the "
		     "device has written is marked",
	  .run = read_marks_data_and_status,
	  NEEDS },
	{ .name = "device-marks-no-page-that-it-only-reads",
	  .section = "vhost-user: Migration",
	  .promise = "a page that the device only reads is not marked",
	  .run = device_marks_no_page_that_it_only_reads,
	  NEEDS },
	{ .name = "used-ring-is-marked",
	  .section = "vhost-user: Migration",
	  .promise = "with VHOST_VRING_F_LOG the used ring is marked",
	  .run = used_ring_is_marked,
	  NEEDS },
	{ .name = "used-ring-is-marked-at-its-log-address",
	  .section = "vhost-user: Migration",
	  .promise = "the used ring is marked at log_guest_addr, which need "
		     "not lie in guest memory",
	  .run = used_ring_is_marked_at_its_log_address,
	  NEEDS },
	{ .name = "packed-ring-is-marked",
	  .section = "vhost-user: Migration",
	  .promise = "the descriptors that a device makes used ones in a "
		     "packed ring are marked",
	  .run = packed_ring_is_marked,
	  .features = FE_FEATURE_LOG_ALL | FE_FEATURE_PACKED,
	  .protocol = FE_PROTOCOL_LOG_SHMFD },
	{ .name = "log-is-silent-until-it-is-switched-on",
	  .section = "vhost-user: Migration",
	  .promise = "without VHOST_F_LOG_ALL nothing is marked",
	  .run = log_is_silent_until_it_is_switched_on,
	  NEEDS },
	{ .name = "log-is-silent-when-it-is-switched-off",
	  .section = "vhost-user: Migration",
	  .promise = "logging is switched off while a ring runs",
	  .run = log_is_silent_when_it_is_switched_off,
	  NEEDS },
	{ .name = "stopped-ring-has-marked-all",
	  .section = "vhost-user: Migration",
	  .promise = "what a ring has written is marked when GET_VRING_BASE is "
		     "answered",
	  .run = stopped_ring_has_marked_all,
	  NEEDS },
	{ .name = "log-may-be-replaced-while-rings-run",
	  .section = "vhost-user: SET_LOG_BASE",
	  .promise = "once a new log is answered, all marks go there",
	  .run = log_may_be_replaced_while_rings_run,
	  NEEDS },
	{ .name = "log-begins-at-its-offset",
	  .section = "vhost-user: Migration",
	  .promise = "the log starts at the offset that came with its fd",
	  .run = log_begins_at_its_offset,
	  NEEDS },
	{ .name = "log-fd-is-taken",
	  .section = "vhost-user: SET_LOG_FD",
	  .promise = "an eventfd for the log may be given",
	  .run = log_fd_is_taken,
	  NEEDS },
	{ .name = "log-too-small-is-not-exceeded",
	  .section = "vhost-user: Migration",
	  .promise = "a log that is too small for the memory is refused, or "
		     "not written beyond its end",
	  .run = log_too_small_is_not_exceeded,
	  .flags = CHECK_HOSTILE,
	  NEEDS },
	{ .name = "log-that-wraps-is-refused",
	  .section = "vhost-user: SET_LOG_BASE",
	  .promise = "a log whose size and offset exceed 64 bits is refused",
	  .run = log_that_wraps_is_refused,
	  .flags = CHECK_HOSTILE,
	  NEEDS },
	{ .name = "empty-log-is-refused",
	  .section = "vhost-user: SET_LOG_BASE",
	  .promise = "a log of no bytes is refused",
	  .run = empty_log_is_refused,
	  .flags = CHECK_HOSTILE,
	  NEEDS },
	{ .name = "log-beyond-its-file-does-no-harm",
	  .section = "vhost-user: SET_LOG_BASE",
	  .promise = "a log that its file does not hold is refused or does no "
		     "harm",
	  .run = log_beyond_its_file_does_no_harm,
	  .flags = CHECK_HOSTILE,
	  NEEDS },
	{ .name = "log-whose-file-shrinks-does-no-harm",
	  .section = "vhost-user: Migration",
	  .promise = "a front-end that shrinks its log under a running ring "
		     "hurts its own session only",
	  .run = log_whose_file_shrinks_does_no_harm,
	  .flags = CHECK_HOSTILE,
	  NEEDS },
};

const struct check_group group_log =
	CHECK_GROUP("log", "the migration log", cases);
