/* SPDX-License-Identifier: MIT */
/*
 * imagelock - who uses an image, told to other processes in QEMU's way
 *
 * QEMU's programs tell each other through locks on single bytes of the image
 * what they do with it and what they let others do. This speaks the same, so
 * that no two of qemu-system, qemu-img, qemu-storage-daemon and ringhost
 * write one image by mistake. The locks are advisory: who does not look for
 * them is not kept out, and no byte of the image changes.
 *
 * The locks belong to the open file description and end with it. Control
 * thread.
 */
#ifndef SERVER_DRIVERS_IMAGELOCK_H
#define SERVER_DRIVERS_IMAGELOCK_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Would claim succeed now? Takes nothing. Returns 0, or -EAGAIN with *holder
 * the process in the way (0 if it cannot be known), or -errno where the file
 * system has no locks.
 */
int imagelock_check(int fd, bool for_writing, pid_t *holder);

/* As check, and hold it from now on. Claiming again is harmless. */
int imagelock_claim(int fd, bool for_writing, pid_t *holder);

void imagelock_release(int fd);

#endif
