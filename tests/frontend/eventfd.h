/* SPDX-License-Identifier: MIT */
/*
 * eventfd - wait for what a back-end signals
 */
#ifndef FRONTEND_EVENTFD_H
#define FRONTEND_EVENTFD_H

#include <stdint.h>

/*
 * Wait for an eventfd to be signalled and take what is in it. Returns how
 * often it was signalled, or -ETIMEDOUT.
 */
int64_t fe_eventfd_wait(int fd, int timeout_msec);

#endif
