/* SPDX-License-Identifier: MIT */
/*
 * file_geometry - sizes, alignment and limits as the kernel tells them
 *
 * Asked when an image is opened, and its size once more when it is refreshed.
 * Control thread.
 */
#ifndef SERVER_DRIVERS_FILE_GEOMETRY_H
#define SERVER_DRIVERS_FILE_GEOMETRY_H

#include "server/drivers/file.h"

/* Regular files and block devices have a size; returns 0 or -errno. */
int file_learn_size(const struct file *file, uint64_t *ret);

/*
 * Learn what O_DIRECT demands of offsets and buffers on file->fd, where it is
 * already switched on. Returns 0, or -EOPNOTSUPP if it does not work there.
 */
int file_learn_alignment(struct file *file);

/*
 * Learn which operations are at the speed of memory, though not for io_uring.
 * The cache mode is settled.
 */
void file_learn_speed(struct file *file);

/* Block sizes, discard and write zeroes, into file->driver.info. */
void file_learn_limits(struct file *file);

#endif
