/* SPDX-License-Identifier: MIT */
/*
 * listener - where front-ends come from
 *
 * A socket file that nobody listens on is a leftover and may be replaced; to
 * find out, connect to it. A new one gets its mode and group between bind(2)
 * and listen(2), so that a client never meets it with the wrong ones.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/base.h"
#include "lib/listener.h"

#define BACKLOG 16

static int set_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, length);
	return 0;
}

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/*
 * Remove a leftover socket. Returns 0 when path is free now, -EADDRINUSE when
 * somebody listens there, -EEXIST when it is no socket, or another -errno.
 */
static int remove_stale(const char *path, const struct sockaddr_un *address)
{
	cleanup_close int fd = -1;
	struct stat file;

	if (lstat(path, &file) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode))
		return -EEXIST;
	fd = open_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) ==
		    0 ||
	    errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int rh_socket_listen(const char *path, mode_t mode, gid_t gid, int *fd)
{
	cleanup_close int socket_fd = -1;
	struct sockaddr_un address;
	int error;

	error = set_address(&address, path);
	if (!error)
		error = remove_stale(path, &address);
	if (error)
		return error;
	socket_fd = open_socket();
	if (socket_fd < 0)
		return socket_fd;
	if (bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if ((gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0) ||
	    chmod(path, mode) < 0 || listen(socket_fd, BACKLOG) < 0) {
		error = -errno;
		unlink(path);
		return error;
	}
	*fd = steal_fd(&socket_fd);
	return 0;
}

void rh_socket_unlink(const char *path)
{
	struct sockaddr_un address;

	if (set_address(&address, path) == 0)
		remove_stale(path, &address);
}

int rh_socket_is_listening(int fd)
{
	int value;
	socklen_t bytes = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &bytes) < 0)
		return -errno;
	if (value != AF_UNIX)
		return -EPROTOTYPE;
	bytes = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes) < 0)
		return -errno;
	if (value != SOCK_STREAM)
		return -EPROTOTYPE;
	bytes = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) < 0)
		return -errno;
	return value ? 1 : 0;
}

int rh_listener_accept(int listen_fd, int *ret)
{
	int fd;

	do {
		fd = accept4(listen_fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int rh_listener_peer_pid(int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
		return 0;
	return peer.pid;
}
