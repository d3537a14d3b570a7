/* SPDX-License-Identifier: MIT */
/*
 * handover_text - bytes of any number in what is handed over
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base.h"
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

int handover_get_each(int fd, size_t max_bytes,
		      int (*take)(void *opaque, const char *name, int fd),
		      void *opaque)
{
	bool more = true;
	int error = 0;

	while (more && !error) {
		cleanup_free char *name = NULL;
		size_t nr_bytes = 0;

		error = handover_get(fd, max_bytes, &name, &nr_bytes);
		more = nr_bytes;
		if (!error && more)
			error = take(opaque, name, fd);
	}
	return error;
}
