/* SPDX-License-Identifier: MIT */
/*
 * inflight - the region in which a back-end records requests under way
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/frontend/inflight.h"

void fe_inflight_init(struct fe_inflight *inflight)
{
	memset(inflight, 0, sizeof(*inflight));
	inflight->fd = -1;
}

void fe_inflight_deinit(struct fe_inflight *inflight)
{
	if (inflight->bytes)
		munmap(inflight->bytes, inflight->wire.mmap_bytes);
	rh_fd_close(&inflight->fd);
	fe_inflight_init(inflight);
}

/* What lies beyond the end of the file could not be touched. */
static int check_size(const struct fe_inflight *inflight)
{
	struct stat file;

	if (fstat(inflight->fd, &file) < 0)
		return -errno;
	return inflight->wire.mmap_bytes > (uint64_t)file.st_size ||
			       inflight->wire.mmap_offset >
				       (uint64_t)file.st_size -
					       inflight->wire.mmap_bytes ?
		       -EPROTO :
		       0;
}

static int map(struct fe_inflight *inflight)
{
	int error = check_size(inflight);
	void *bytes;

	if (error)
		return error;
	bytes = mmap(NULL, inflight->wire.mmap_bytes, PROT_READ | PROT_WRITE,
		     MAP_SHARED, inflight->fd,
		     (off_t)inflight->wire.mmap_offset);
	if (bytes == MAP_FAILED)
		return -errno;
	inflight->bytes = bytes;
	return 0;
}

int fe_inflight_make(struct fe_inflight *inflight, uint64_t bytes,
		     uint16_t nr_queues, uint16_t queue_size)
{
	fe_inflight_deinit(inflight);
	inflight->fd = rh_memfd_create("inflight", bytes);
	if (inflight->fd < 0)
		return inflight->fd;
	inflight->wire = (struct fe_wire_inflight){
		.mmap_bytes = bytes,
		.nr_queues = nr_queues,
		.queue_size = queue_size,
	};
	return map(inflight);
}

int fe_session_get_inflight(struct fe_session *session, uint16_t nr_queues,
			    uint16_t queue_size, struct fe_inflight *inflight)
{
	struct fe_message message;
	unsigned int nr_fds = 1;
	int error;

	fe_inflight_deinit(inflight);
	fe_message_init(&message, FE_GET_INFLIGHT_FD,
			sizeof(message.payload.inflight));
	message.payload.inflight.nr_queues = nr_queues;
	message.payload.inflight.queue_size = queue_size;
	if (session->protocol & FE_PROTOCOL_REPLY_ACK)
		message.flags |= FE_FLAG_NEED_REPLY;
	error = fe_message_send(session->sock, &message, NULL, 0);
	if (!error)
		error = fe_message_receive(session->sock, &message,
					   session->timeout_msec, &inflight->fd,
					   &nr_fds);
	if (error) {
		inflight->fd = -1; /* it was closed */
		return error;
	}
	if (message.request != FE_GET_INFLIGHT_FD)
		return -EPROTO;
	if (message.size == sizeof(uint64_t))
		return message.payload.u64 ? -EREMOTEIO : -EPROTO;
	if (message.size != sizeof(message.payload.inflight) || nr_fds != 1)
		return -EPROTO;
	inflight->wire = message.payload.inflight;
	return map(inflight);
}

int fe_session_set_inflight(struct fe_session *session,
			    const struct fe_inflight *inflight)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_INFLIGHT_FD,
			sizeof(message.payload.inflight));
	message.payload.inflight = inflight->wire;
	return fe_session_exchange(session, &message, &inflight->fd, 1);
}
