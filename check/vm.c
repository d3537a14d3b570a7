/* SPDX-License-Identifier: MIT */
/*
 * vm - a whole VM's side of a disk, in one call or in steps
 */
#include "check/vm.h"

#include <endian.h>
#include <string.h>

#include "common/base.h"

#define MIB	    (1u << 20)
#define SLOT_EXTRAS (32u << 10) /* a request's header, status and table */

static const struct vm_options usual;

int vm_dial(struct vm *vm, const struct target *target)
{
	int error;

	memset(vm, 0, sizeof(*vm));
	error = fe_session_connect(&vm->session, target->socket);
	vm->connected = true;
	vm->session.timeout_msec = target->timeout_msec;
	return error;
}

int vm_connect(struct vm *vm, const struct target *target,
	       const struct vm_options *options)
{
	int error = vm_dial(vm, target);

	if (error)
		return error;
	if (!options)
		options = &usual;
	return fe_session_negotiate(
		&vm->session,
		(FE_USUAL_FEATURES | options->unusual_features) &
			~options->refused_features,
		(FE_USUAL_PROTOCOL & ~options->refused_protocol) |
			options->more_protocol);
}

static int prepare_queue(struct vm *vm, unsigned int i, unsigned int depth,
			 uint32_t data_bytes, uint32_t size)
{
	int error;

	vm->nr_queues = i + 1;
	error = fe_vring_init(&vm->vrings[i], &vm->memory, 0, size,
			      vm->session.features);
	if (error)
		return error;
	vm->vrings[i].index = i;
	error = fe_blk_init(&vm->blks[i], &vm->vrings[i], 0, depth, data_bytes);
	vm->blks[i].timeout_msec = vm->session.timeout_msec;
	return error;
}

int vm_prepare(struct vm *vm, const struct target *target,
	       const struct vm_options *options)
{
	unsigned int nr_queues, depth;
	uint32_t data_bytes, size;
	uint64_t memory_bytes;
	int ret;

	if (!options)
		options = &usual;
	nr_queues = options->nr_queues ? options->nr_queues : 1;
	size = options->queue_size ? options->queue_size : VM_QUEUE_SIZE;
	depth = options->depth ? options->depth : VM_DEPTH;
	data_bytes = options->data_bytes ?
			     options->data_bytes :
			     MAX(64u << 10, 2 * target->block_bytes);
	memory_bytes = nr_queues *
		       (MIB + (uint64_t)depth * (data_bytes + SLOT_EXTRAS));
	ret = fe_memory_add(&vm->memory, 0,
			    align_down(memory_bytes + 2 * MIB, 2 * MIB));
	if (ret < 0)
		return ret;
	ret = 0;
	for (unsigned int i = 0; i < nr_queues && !ret; i++)
		ret = prepare_queue(vm, i, depth, data_bytes, size);
	return ret;
}

/* Of a new ring, also when the driver has added to it already. */
static uint32_t first_base(const struct fe_vring *vring)
{
	return vring->is_packed ? FE_PACKED_FIRST_BASE : 0;
}

int vm_start(struct vm *vm)
{
	int error = fe_session_set_memory(&vm->session, &vm->memory);

	for (unsigned int i = 0; i < vm->nr_queues && !error; i++)
		error = fe_session_start_vring(&vm->session, &vm->vrings[i], i,
					       first_base(&vm->vrings[i]));
	return error;
}

void vm_set_position(struct fe_vring *vring, uint16_t base)
{
	/* avail_event: the next request is worth a kick */
	uint16_t *avail_event = (uint16_t *)&vring->used->ring[vring->size];

	vring->next_avail = base;
	vring->published = base;
	vring->next_used = base;
	vring->avail->idx = htole16(base);
	vring->used->idx = htole16(base);
	*avail_event = htole16(base);
}

int vm_open(struct vm *vm, const struct target *target,
	    const struct vm_options *options)
{
	int error = vm_connect(vm, target, options);

	if (!error)
		error = vm_prepare(vm, target, options);
	if (!error)
		error = vm_start(vm);
	return error;
}

void vm_close(struct vm *vm)
{
	if (vm->connected)
		fe_session_deinit(&vm->session);
	vm->connected = false;
	while (vm->nr_queues) {
		vm->nr_queues--;
		fe_blk_deinit(&vm->blks[vm->nr_queues]);
		fe_vring_deinit(&vm->vrings[vm->nr_queues]);
	}
	fe_memory_deinit(&vm->memory);
}
