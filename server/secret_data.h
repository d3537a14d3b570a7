/* SPDX-License-Identifier: MIT */
/*
 * secret_data - bytes that nobody is to see
 *
 * They are overwritten before their memory is given back, and nothing here
 * puts them into a sentence.
 *
 * Owner: the caller. Any thread.
 */
#ifndef SERVER_SECRET_DATA_H
#define SERVER_SECRET_DATA_H

#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX_BYTES 65536

struct secret_data {
	uint8_t *bytes; /* and a 0 behind them; NULL: there are none */
	size_t nr_bytes;
};

/* Return 0 with *ret set, -EFBIG, or -ENOMEM. */
int secret_data_copy(const void *bytes, size_t nr_bytes,
		     struct secret_data *ret);

/*
 * The content of a regular file. Takes as long as its storage likes. Returns 0
 * with *ret set, -EFBIG, -EINVAL for what is no regular file, or what opening
 * and reading say.
 */
int secret_data_read(const char *path, struct secret_data *ret);

/*
 * From base64 (RFC 4648, 4), in which line ends do not count. Returns 0, or
 * -EINVAL: then what is left makes no sense.
 */
int secret_data_decode(struct secret_data *data);

/* Twice does no harm. */
void secret_data_wipe(struct secret_data *data);

#endif
