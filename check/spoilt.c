/* SPDX-License-Identifier: MIT */
/*
 * spoilt - one request in descriptors that a case may spoil
 */
#include "check/spoilt.h"

#include <endian.h>
#include <errno.h>

#define NEXT	      VRING_DESC_F_NEXT
#define WRITE	      VRING_DESC_F_WRITE
#define INDIRECT      VRING_DESC_F_INDIRECT
#define SHARE_OF_WAIT 5 /* of all patience, for the device's reaction */

void spoilt_set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	*desc = (struct vring_desc){ htole64(addr), htole32(len),
				     htole16(flags), htole16(next) };
}

static void put_request(const struct spoilt *spoilt, struct vring_desc *desc)
{
	const struct fe_blk_request *request = spoilt->request;

	spoilt_set_desc(&desc[0], request->data_addr - FE_BLK_HEADER_BYTES,
			FE_BLK_HEADER_BYTES, NEXT, 1);
	spoilt_set_desc(&desc[1], request->data_addr, request->data_bytes,
			NEXT | WRITE, 2);
	spoilt_set_desc(&desc[2], request->data_addr + request->data_bytes, 1,
			WRITE, 0);
}

void spoilt_make(struct check *check, struct spoilt *spoilt)
{
	struct vm *vm = check_open(check, NULL);

	*spoilt = (struct spoilt){
		.check = check,
		.vm = vm,
		.vring = &vm->vrings[0],
		.request = check_add_read(check, vm, 0),
		.desc = vm->vrings[0].desc,
	};
	spoilt->table =
		fe_memory_pointer(&vm->memory, spoilt->request->table_addr,
				  FE_BLK_MAX_PIECES * sizeof(*spoilt->table));
	put_request(spoilt, spoilt->desc);
}

void spoilt_use_table(struct spoilt *spoilt)
{
	put_request(spoilt, spoilt->table);
	spoilt_set_desc(&spoilt->desc[0], spoilt->request->table_addr, 48,
			INDIRECT, 0);
}

int spoilt_push(struct spoilt *spoilt)
{
	int msec = spoilt->vm->session.timeout_msec / SHARE_OF_WAIT;
	int error;

	fe_vring_publish(spoilt->vring);
	fe_vring_kick(spoilt->vring);
	error = fe_vring_wait(spoilt->vring, msec);
	if (!error) {
		spoilt->request->status = *spoilt->request->status_byte;
		return fe_blk_result(spoilt->request);
	}
	if (error != -ETIMEDOUT)
		return error;
	/* some notice that it is broken with the next message only */
	error = fe_session_sync(&spoilt->vm->session);
	return error == -ETIMEDOUT || !error ? -ETIMEDOUT : error;
}

void spoilt_expect_refusal(struct spoilt *spoilt, const char *what)
{
	switch (spoilt_push(spoilt)) {
	case 0:
		check_fail(spoilt->check,
			   "%s: the request was completed with "
			   "status OK",
			   what);
	case -ETIMEDOUT:
		check_fail(spoilt->check,
			   "%s: the request was neither completed, nor was the "
			   "error fd signalled or the connection closed",
			   what);
	}
}
