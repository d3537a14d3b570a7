/* SPDX-License-Identifier: MIT */
/*
 * probe - does an image look like something else than a raw disk?
 *
 * The answer serves one purpose: to refuse an image that its owner most
 * likely did not mean to serve byte by byte. It never chooses how an image is
 * read, because a guest could then choose it, by writing another format's
 * header into its own disk. Control thread, when an image is opened.
 */
#ifndef SERVER_DRIVERS_PROBE_H
#define SERVER_DRIVERS_PROBE_H

#include <stdint.h>

/*
 * fd: readable at any offset, without O_DIRECT. Returns 1 with *ret the name
 * of the format, 0 if it looks raw, or -errno.
 */
int probe_format(int fd, uint64_t size_bytes, const char **ret);

#endif
