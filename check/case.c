/* SPDX-License-Identifier: MIT */
/*
 * case - one conformance case, and what it says when something is wrong
 */
#include "check/case.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/fd.h"
#include "tests/frontend/eventfd.h"

#define MAPS_ALLOWANCE 4

_Noreturn static void end(struct check *check, enum check_outcome outcome)
{
	check->verdict->outcome = outcome;
	_exit(0);
}

void check_fail(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->verdict->text, sizeof(check->verdict->text), format,
		  args);
	va_end(args);
	end(check, CHECK_FAILED);
}

void check_skip(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->verdict->text, sizeof(check->verdict->text), format,
		  args);
	va_end(args);
	end(check, CHECK_SKIPPED);
}

void *check_alloc(struct check *check, size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		check_fail(check, "there is no memory left for the test");
	return memory;
}

const char *check_error(int error)
{
	switch (error) {
	case 0:
		return "the back-end accepted it as good";
	case -EREMOTEIO:
		return "the back-end answered that it refuses";
	case -ECONNREFUSED:
		return "the back-end does not listen any more";
	case -ECONNRESET:
		return "the back-end closed the connection";
	case -ETIMEDOUT:
		return "the back-end did not answer in time";
	case -EPROTO:
		return "the back-end's answer does not fit what was asked";
	case -EPIPE:
		return "the back-end signalled the ring's error fd";
	case -EIO:
		return "the request was completed with status IOERR";
	case -EOPNOTSUPP:
		return "the request was completed with status UNSUPP";
	case -EBADMSG:
		return "the request was marked used, but its status byte was "
		       "not written, or bytes beyond its buffers were";
	case -EILSEQ:
		return "the request brought other data than it should";
	default:
		return strerror(-error);
	}
}

/* "WHAT: the back-end ..." */
_Noreturn static void fail_with(struct check *check, int error,
				const char *format, va_list args)
{
	char *text = check->verdict->text;
	size_t size = sizeof(check->verdict->text);
	int length = vsnprintf(text, size, format, args);

	if (length >= 0 && (size_t)length < size)
		snprintf(text + length, size - (size_t)length, ": %s",
			 check_error(error));
	end(check, CHECK_FAILED);
}

void check_done(struct check *check, int error, const char *format, ...)
{
	va_list args;

	if (!error)
		return;
	va_start(args, format);
	fail_with(check, error, format, args);
}

/* So that the runner can tell it if the back-end is gone afterwards. */
static void remember(struct check *check, const char *format, va_list args)
{
	vsnprintf(check->verdict->last, sizeof(check->verdict->last), format,
		  args);
}

void check_refused(struct check *check, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error != -EREMOTEIO && error != -ECONNRESET)
		fail_with(check, error, format, args);
	remember(check, format, args);
	va_end(args);
}

void check_harmless(struct check *check, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error == -ETIMEDOUT)
		fail_with(check, error, format, args);
	remember(check, format, args);
	va_end(args);
}

static void check_connected(struct check *check, int error)
{
	check->verdict->at_connect = error != 0;
	check_done(check, error, "connect and negotiate");
}

struct vm *check_dial(struct check *check)
{
	vm_close(&check->vm);
	check_connected(check, vm_dial(&check->vm, check->target));
	return &check->vm;
}

struct vm *check_connect(struct check *check, const struct vm_options *options)
{
	vm_close(&check->vm);
	check_connected(check, vm_connect(&check->vm, check->target, options));
	return &check->vm;
}

struct vm *check_prepare(struct check *check, const struct vm_options *options)
{
	struct vm *vm = check_connect(check, options);

	check_done(check, vm_prepare(vm, check->target, options),
		   "prepare guest memory on this side");
	return vm;
}

void check_start(struct check *check, struct vm *vm)
{
	check_done(check, vm_start(vm), "show the memory and start the rings");
}

struct vm *check_open(struct check *check, const struct vm_options *options)
{
	struct vm *vm = check_prepare(check, options);

	check_start(check, vm);
	return vm;
}

struct fe_blk_request *check_add_read(struct check *check, struct vm *vm,
				      unsigned int queue)
{
	struct fe_blk_request *request = fe_blk_get(&vm->blks[queue]);
	unsigned int slot = check->next_slot++;

	if (!request)
		check_fail(check, "all request slots of the test are taken: "
				  "requests were not given back");
	request->type = VIRTIO_BLK_T_IN;
	request->sector = target_slot_sector(check->target, slot);
	request->data_bytes = check->target->unit_bytes;
	request->framing = vm->blks[queue].framing;
	request->user = (void *)target_slot_data(check->target, slot);
	memset(request->data, 0x5a, request->data_bytes);
	check_done(check, fe_blk_add(request), "put a read into the ring");
	return request;
}

static void check_read_result(struct check *check,
			      struct fe_blk_request *request)
{
	check_done(check, fe_blk_result(request), "a read");
	if (request->used_bytes != request->data_bytes + 1)
		check_fail(check,
			   "the used length of a read of %u bytes is %u, not "
			   "%u (data and status)",
			   request->data_bytes, request->used_bytes,
			   request->data_bytes + 1);
	if (memcmp(request->data, request->user, request->data_bytes))
		check_fail(check, "a read brought other data than was there");
	fe_blk_put(request);
}

void check_reap(struct check *check, struct vm *vm, unsigned int queue)
{
	struct fe_blk *blk = &vm->blks[queue];
	struct fe_blk_request *request;
	int ret;

	while (blk->nr_under_way) {
		ret = fe_vring_wait(blk->vring, blk->timeout_msec);
		check_done(check, ret, "wait for %u requests on queue %u",
			   blk->nr_under_way, queue);
		while ((ret = fe_blk_reap(blk, &request)) > 0)
			check_read_result(check, request);
		check_done(check, ret, "take a used entry");
	}
}

void check_read(struct check *check, struct vm *vm, unsigned int queue)
{
	check_add_read(check, vm, queue);
	fe_vring_submit(&vm->vrings[queue]);
	check_reap(check, vm, queue);
}

/* Some notify when they get the fd; and what is used is seen before the call */
void check_first_read(struct check *check, struct vm *vm)
{
	struct fe_vring *vring = &vm->vrings[0];
	int64_t nr;

	check_done(check, fe_session_sync(&vm->session), "GET_FEATURES");
	rh_eventfd_drain(vring->call_fd);
	check_add_read(check, vm, 0);
	fe_vring_expect_calls(vring);
	fe_vring_submit(vring);
	do {
		nr = fe_eventfd_wait(vring->call_fd, vm->session.timeout_msec);
		check_done(check, (int)MIN(nr, INT64_C(0)),
			   "the notification of a first read");
	} while (!fe_vring_has_used(vring));
	check_reap(check, vm, 0);
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= UINT64_C(0xff51afd7ed558ccd);
	value ^= value >> 33;
	return value;
}

void check_fill(void *data, size_t bytes, uint64_t seed)
{
	uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++)
		byte[i] = (uint8_t)(mix(seed * 1000003 + i / 8) >> (i % 8));
}

bool check_filled(const void *data, size_t bytes, uint64_t seed)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++)
		if (byte[i] !=
		    (uint8_t)(mix(seed * 1000003 + i / 8) >> (i % 8)))
			return false;
	return true;
}

void check_write(struct check *check, struct vm *vm, unsigned int queue)
{
	const struct target *target = check->target;
	struct fe_blk *blk = &vm->blks[queue];
	unsigned int slot = check->next_slot++;
	uint64_t sector = target_slot_sector(target, slot);
	cleanup_free uint8_t *data = check_alloc(check, target->unit_bytes);

	check_fill(data, target->unit_bytes, slot);
	check_done(check, fe_blk_write(blk, sector, data, target->unit_bytes),
		   "a write");
	memset(data, 0, target->unit_bytes);
	check_done(check, fe_blk_read(blk, sector, data, target->unit_bytes),
		   "the read of what was written");
	if (!check_filled(data, target->unit_bytes, slot))
		check_fail(check, "a read brought other data than was written");
}

struct target_footprint check_footprint(struct check *check)
{
	struct target_footprint footprint = { 0 };
	int error = target_measure(check->target, &footprint);

	if (error == -ENOENT)
		check_skip(check, "its process cannot be looked at");
	check_done(check, error, "connect in order to measure");
	return footprint;
}

void check_same_footprint(struct check *check,
			  const struct target_footprint *before)
{
	struct target_footprint now;

	vm_close(&check->vm);
	now = check_footprint(check);
	if (now.nr_fds > before->nr_fds)
		check_fail(check,
			   "the process held %d file descriptors before and "
			   "%d afterwards, with no session open",
			   before->nr_fds, now.nr_fds);
	if (now.nr_maps > before->nr_maps + MAPS_ALLOWANCE)
		check_fail(check,
			   "the process held %d mappings before and %d "
			   "afterwards, with no session open",
			   before->nr_maps, now.nr_maps);
}
