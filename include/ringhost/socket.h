/* SPDX-License-Identifier: MIT */
/*
 * socket - sockets for rh_device_listen() and rh_device_connect()
 *
 * Any thread may call these.
 */
#ifndef RINGHOST_SOCKET_H
#define RINGHOST_SOCKET_H

#include <sys/types.h>

#include <ringhost/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bind and listen on path.
 *
 * A stale socket there, one on which nobody listens, is replaced; a live one
 * and any other kind of file are left alone. mode: permission bits of the
 * new socket, which it has from the moment at which a client can connect.
 * gid: its group, or (gid_t)-1 for that of the process.
 *
 * Returns 0 with *fd set, or -EADDRINUSE (somebody listens there), -EEXIST
 * (not a socket), -ENAMETOOLONG, or another -errno of bind(2). Since 0.1.
 */
RH_API int rh_socket_listen(const char *path, mode_t mode, gid_t gid, int *fd);

/*
 * Remove path if it is a socket on which nobody listens. To be called when
 * the listening fd is closed: another process that has taken the path over
 * meanwhile keeps it. Since 0.1.
 */
RH_API void rh_socket_unlink(const char *path);

/*
 * Tell an inherited socket's kind.
 *
 * Returns 1 for a listening socket, 0 for a connected one, or -ENOTSOCK,
 * -EPROTOTYPE (not AF_UNIX, not a stream) or another -errno. Since 0.1.
 */
RH_API int rh_socket_is_listening(int fd);

#ifdef __cplusplus
}
#endif

#endif
