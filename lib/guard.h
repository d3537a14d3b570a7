/* SPDX-License-Identifier: MIT */
/*
 * guard - guest memory that its owner takes back
 *
 * A front-end can shrink a file that it has shared, or share one that its
 * file system has no room for. Whoever then touches the mapping gets SIGBUS.
 * The handler here (rh_device_guard_memory()) puts a page of zeros in place of
 * the one that was touched, notes that the mapping is lost, and wakes the
 * device, which ends the session. The kernel's touch of what is missing fails
 * with EFAULT, before and after.
 *
 * A guard covers one mapping. Any thread.
 */
#ifndef LIB_GUARD_H
#define LIB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct rh_guard;

/*
 * Cover a mapping. wake_fd: an eventfd to signal when it is lost, or -1.
 * Returns 0 with *ret set, or -ENOMEM.
 */
int rh_guard_create(void *address, size_t size_bytes, int wake_fd,
		    struct rh_guard **ret);

/* Before the mapping goes, and after its last use. */
void rh_guard_release(struct rh_guard *guard);

/*
 * Take the mapping back ourselves, under whoever uses it. The kernel's touch
 * of it fails with EFAULT from now on. Ours finds a page of zeros, if there is
 * a handler; without one, or without a file descriptor to spare, zeros stand
 * in its place for everybody. The mapping counts as lost, nobody is woken.
 */
void rh_guard_revoke(struct rh_guard *guard);

/* True once a page of it was missing. */
bool rh_guard_lost(const struct rh_guard *guard);

#endif
