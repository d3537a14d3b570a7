/* SPDX-License-Identifier: MIT */
/*
 * peerfd - files that a peer holds, too, or has made
 *
 * Kick, call and error fds share their file description with the front-end,
 * and O_NONBLOCK with it: the front-end can clear the flag at any moment, and
 * a plain write(2) to an eventfd whose counter it has filled would then sleep
 * for ever. Nothing here trusts the flag, and nothing here blocks. Other
 * kinds of files have no such way to be written: they are not accepted.
 *
 * Any thread.
 */
#ifndef COMMON_PEERFD_H
#define COMMON_PEERFD_H

#include <stdbool.h>

/* True for an eventfd; where /proc is missing, for any anonymous file. */
bool rh_peerfd_is_eventfd(int fd);

/*
 * Close *fd unless it is empty, and empty it; errno is kept. A socket that
 * was told to linger does not: its maker could make us wait for days.
 */
void rh_peerfd_close(int *fd);

/* Add 1. A full counter stays as it is: its reader is awake anyway. */
void rh_peerfd_signal(int fd);

/* Take what is in it. */
void rh_peerfd_drain(int fd);

#endif
