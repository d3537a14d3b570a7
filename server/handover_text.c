/* SPDX-License-Identifier: MIT */
/*
 * handover_text - bytes of any number in what is handed over
 */
#include <errno.h>
#include <stdlib.h>

#include "common/fd.h"
#include "server/handover_text.h"

int handover_put(int fd, const void *bytes, size_t nr_bytes)
{
	uint32_t nr = (uint32_t)nr_bytes;
	int error = rh_fd_put_all(fd, &nr, sizeof(nr), HANDOVER_WAIT_MSEC);

	return error ? error : rh_fd_put_all(fd, bytes, nr, HANDOVER_WAIT_MSEC);
}

int handover_get(int fd, size_t max_bytes, char **ret, size_t *ret_nr_bytes)
{
	uint32_t nr;
	int error = rh_fd_get_all(fd, &nr, sizeof(nr), HANDOVER_WAIT_MSEC);
	char *bytes;

	if (error)
		return error;
	if (nr > max_bytes)
		return -EPROTO;
	bytes = calloc(1, (size_t)nr + 1);
	if (!bytes)
		return -ENOMEM;
	error = rh_fd_get_all(fd, bytes, nr, HANDOVER_WAIT_MSEC);
	if (error) {
		free(bytes);
		return error;
	}
	*ret = bytes;
	*ret_nr_bytes = nr;
	return 0;
}
