/* SPDX-License-Identifier: MIT */
/*
 * secret_data - bytes that nobody is to see
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/secret_data.h"

static int allocate(size_t nr_bytes, struct secret_data *ret)
{
	if (nr_bytes > SECRET_MAX_BYTES)
		return -EFBIG;
	ret->bytes = calloc(1, nr_bytes + 1);
	ret->nr_bytes = nr_bytes;
	return ret->bytes ? 0 : -ENOMEM;
}

int secret_data_copy(const void *bytes, size_t nr_bytes,
		     struct secret_data *ret)
{
	struct secret_data data = { 0 };
	int error = allocate(nr_bytes, &data);

	if (error)
		return error;
	memcpy(data.bytes, bytes, nr_bytes);
	*ret = data;
	return 0;
}

/* A pipe, of all files, would have us wait for who writes. */
static int open_regular(const char *path)
{
	cleanup_close int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	return S_ISREG(info.st_mode) ? steal_fd(&fd) : -EINVAL;
}

/* Returns how many bytes there are, room for one too many included. */
static ssize_t fill(int fd, uint8_t *bytes)
{
	size_t nr = 0;
	ssize_t done = 1;

	while (done > 0 && nr <= SECRET_MAX_BYTES) {
		done = read(fd, bytes + nr, SECRET_MAX_BYTES + 1 - nr);
		if (done < 0 && errno == EINTR)
			done = 1;
		else if (done > 0)
			nr += (size_t)done;
	}
	return done < 0 ? -errno : (ssize_t)nr;
}

int secret_data_read(const char *path, struct secret_data *ret)
{
	cleanup_close int fd = open_regular(path);
	struct secret_data room = { 0 };
	ssize_t nr = -ENOMEM;
	int error = fd;

	if (fd < 0)
		return error;
	room.nr_bytes = SECRET_MAX_BYTES + 1;
	room.bytes = malloc(room.nr_bytes);
	if (room.bytes)
		nr = fill(fd, room.bytes);
	error = nr < 0 ? (int)nr :
			 secret_data_copy(room.bytes, (size_t)nr, ret);
	secret_data_wipe(&room);
	return error;
}

/* Of six bits; -1: it has no meaning. */
static int meaning_of(uint8_t letter)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789+/";
	const char *found = letter ? strchr(letters, letter) : NULL;

	return found ? (int)(found - letters) : -1;
}

/* Four letters are three bytes, less one for each "=" at the end. */
int secret_data_decode(struct secret_data *data)
{
	unsigned int nr_letters = 0;
	unsigned int nr_padding = 0;
	uint32_t bits = 0;
	size_t nr = 0;

	for (size_t i = 0; i < data->nr_bytes; i++) {
		uint8_t letter = data->bytes[i];
		int meaning = letter == '=' ? 0 : meaning_of(letter);

		if (letter == '\n' || letter == '\r')
			continue;
		if (meaning < 0 || (letter != '=' && nr_padding))
			return -EINVAL;
		nr_padding += letter == '=';
		bits = bits << 6 | (uint32_t)meaning;
		if (++nr_letters % 4)
			continue;
		if (nr_padding > 2)
			return -EINVAL;
		for (unsigned int k = 0; k < 3 - nr_padding; k++)
			data->bytes[nr++] = (uint8_t)(bits >> (16 - 8 * k));
	}
	explicit_bzero(data->bytes + nr, data->nr_bytes - nr);
	data->nr_bytes = nr;
	return nr_letters % 4 ? -EINVAL : 0;
}

void secret_data_wipe(struct secret_data *data)
{
	if (data->bytes)
		explicit_bzero(data->bytes, data->nr_bytes);
	free(data->bytes);
	*data = (struct secret_data){ 0 };
}
