/* SPDX-License-Identifier: MIT */
/*
 * failing-sync - for LD_PRELOAD: a host whose storage makes nothing durable
 */
#include <errno.h>
#include <unistd.h>

int fdatasync(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}
