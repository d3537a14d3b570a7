/* SPDX-License-Identifier: MIT */
/*
 * config_files - which files the configuration is in
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/config.h"

#define SUFFIX ".conf"
#define MORE   "conf.d"

static int fail(struct config *config, const char *path, int error)
{
	snprintf(config->why, sizeof(config->why), "cannot read %.300s: %s",
		 path, strerror(-error));
	return error;
}

/* A pipe, of all files, would have us wait for who writes. */
static int open_file(const char *path, FILE **ret)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	if (S_ISDIR(info.st_mode))
		return -EISDIR;
	if (!S_ISREG(info.st_mode))
		return -EINVAL;
	*ret = fdopen(fd, "r");
	if (!*ret)
		return -errno;
	steal_fd(&fd);
	return 0;
}

static int read_file(struct config *config, const char *path)
{
	FILE *file = NULL;
	int error = open_file(path, &file);

	if (error)
		return fail(config, path, error);
	error = config_read_stream(config, path, file);
	fclose(file);
	return error;
}

static int is_ours(const struct dirent *entry)
{
	size_t nr = strlen(entry->d_name);

	return entry->d_name[0] != '.' && nr > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + nr - strlen(SUFFIX), SUFFIX);
}

/* Whatever the locale is */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_named(struct config *config, const char *directory,
		      const char *name)
{
	cleanup_free char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0) {
		path = NULL;
		return fail(config, name, -ENOMEM);
	}
	return read_file(config, path);
}

static int read_directory(struct config *config, const char *path)
{
	struct dirent **entries;
	int nr = scandir(path, &entries, is_ours, by_name);
	int error = 0;

	if (nr < 0)
		return fail(config, path, -errno);
	for (int i = 0; i < nr; i++) {
		if (!error)
			error = read_named(config, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return error;
}

int config_read(struct config *config, const char *path)
{
	cleanup_free char *more = NULL;
	struct stat info;
	int error;

	if (stat(path, &info) < 0)
		return fail(config, path, -errno);
	if (!S_ISDIR(info.st_mode))
		return read_file(config, path);
	error = read_directory(config, path);
	if (error)
		return error;
	if (asprintf(&more, "%s/" MORE, path) < 0) {
		more = NULL;
		return fail(config, path, -ENOMEM);
	}
	if (stat(more, &info) < 0)
		return errno == ENOENT ? 0 : fail(config, more, -errno);
	return read_directory(config, more);
}
