/* SPDX-License-Identifier: MIT */
/*
 * sizes - numbers of bytes as people write and read them
 *
 * Any thread.
 */
#ifndef SERVER_SIZES_H
#define SERVER_SIZES_H

#include <stdint.h>

#define SIZES_TEXT_BYTES 32

struct size_text {
	char text[SIZES_TEXT_BYTES];
};

/*
 * A decimal number, with k, M, G or T behind it for powers of 1024. Returns 0
 * with *ret set, or -EINVAL for anything else, and for what does not fit.
 */
int sizes_parse(const char *text, uint64_t *ret);

/* "512 bytes", "10 GiB", "1.5 GiB": one decimal, none where it is exact. */
struct size_text sizes_format(uint64_t bytes);

#endif
