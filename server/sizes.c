/* SPDX-License-Identifier: MIT */
/*
 * sizes - numbers of bytes as people write and read them
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/sizes.h"

int sizes_parse(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "kmgt";
	const char *suffix;
	char *end;
	uint64_t factor = 1;
	uint64_t number;

	if (!isdigit((unsigned char)*text))
		return -EINVAL; /* strtoull(3) takes signs and spaces */
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		suffix = strchr(suffixes, tolower((unsigned char)*end));
		if (!suffix || end[1])
			return -EINVAL;
		factor = UINT64_C(1) << (10 * (suffix - suffixes + 1));
	}
	if (mul_overflows(number, factor, &number))
		return -EINVAL;
	*ret = number;
	return 0;
}

struct size_text sizes_format(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB",
					     "TiB",   "PiB", "EiB" };
	struct size_text ret;
	unsigned int i = 0;

	while (i + 1 < ARRAY_SIZE(units) && bytes >> (10 * (i + 1)))
		i++;
	if (bytes & ((UINT64_C(1) << (10 * i)) - 1))
		snprintf(ret.text, sizeof(ret.text), "%.1f %s",
			 (double)bytes / (double)(UINT64_C(1) << (10 * i)),
			 units[i]);
	else
		snprintf(ret.text, sizeof(ret.text), "%llu %s",
			 (unsigned long long)(bytes >> (10 * i)), units[i]);
	return ret;
}
