/* SPDX-License-Identifier: MIT */
/*
 * utf8 - where a character of a text ends
 *
 * The table of well-formed sequences in the Unicode standard (3.9, table 3-7):
 * only the second byte's range depends on the first one.
 */
#include "common/utf8.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"

static bool is_between(uint8_t byte, uint8_t min, uint8_t max)
{
	return byte >= min && byte <= max;
}

size_t rh_utf8_length(const char *text)
{
	static const struct {
		uint8_t first_min, first_max;
		uint8_t second_min, second_max;
		uint8_t nr;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const uint8_t *bytes = (const uint8_t *)text;

	if (bytes[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!is_between(bytes[0], rows[i].first_min, rows[i].first_max))
			continue;
		if (!is_between(bytes[1], rows[i].second_min,
				rows[i].second_max))
			return 0;
		for (size_t j = 2; j < rows[i].nr; j++) {
			if (!is_between(bytes[j], 0x80, 0xbf))
				return 0;
		}
		return rows[i].nr;
	}
	return 0;
}
