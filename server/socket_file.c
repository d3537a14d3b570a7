/* SPDX-License-Identifier: MIT */
/*
 * socket_file - the path of our socket, which we made and will remove
 *
 * The inode that is held cannot be given to another file meanwhile, so device
 * and number tell ours from all others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/socket_file.h"

void socket_file_init(struct socket_file *file)
{
	file->directory_fd = -1;
	file->fd = -1;
	file->name = NULL;
}

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int socket_file_directory(const char *path)
{
	const char *name = name_in(path);
	cleanup_free char *directory = NULL;
	int fd;

	directory = name == path ? strdup(".") :
				   strndup(path, (size_t)(name - path));
	if (!directory)
		return -ENOMEM;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int socket_file_hold(struct socket_file *file, const char *path)
{
	const char *name = name_in(path);
	cleanup_close int directory_fd = socket_file_directory(path);
	int fd;

	if (directory_fd < 0)
		return directory_fd;
	fd = openat(directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	file->directory_fd = steal_fd(&directory_fd);
	file->fd = fd;
	file->name = name;
	return 0;
}

static bool is_still_there(const struct socket_file *file)
{
	struct stat held;
	struct stat found;

	return fstat(file->fd, &held) == 0 &&
	       fstatat(file->directory_fd, file->name, &found,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == found.st_dev && held.st_ino == found.st_ino;
}

void socket_file_forget(struct socket_file *file)
{
	rh_fd_close(&file->directory_fd);
	rh_fd_close(&file->fd);
}

void socket_file_remove(struct socket_file *file)
{
	if (file->directory_fd >= 0 && is_still_there(file))
		unlinkat(file->directory_fd, file->name, 0);
	socket_file_forget(file);
}
