/* SPDX-License-Identifier: MIT */
/*
 * listener - where front-ends come from
 *
 * One listening socket, or one connection that was given. Only while the
 * device has no session does it accept; a second front-end waits in the
 * kernel's backlog meanwhile. Control thread.
 */
#ifndef LIB_LISTENER_H
#define LIB_LISTENER_H

#include <ringhost/socket.h>

/*
 * Accept one connection. Returns 0 with *ret set (non-blocking), or -errno:
 * -EAGAIN when nobody waits, -EMFILE, -ENFILE, -ENOMEM or -ENOBUFS when the
 * host has to be given time; anything else is the end of the socket.
 */
int rh_listener_accept(int listen_fd, int *ret);

/* The process at the other end, or 0 when it cannot be told. */
int rh_listener_peer_pid(int fd);

#endif
