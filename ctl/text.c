/* SPDX-License-Identifier: MIT */
/*
 * text - what a terminal may be sent, and numbers as people read them
 */
#include "ctl/text.h"

#include <stdlib.h>
#include <string.h>

#include "common/base.h"

#define ESCAPED_BYTES 6 /* of one byte or character, at most: \uNNNN */

/*
 * The character at text, and how many bytes it has; 0 for what is no UTF-8 of
 * the shortest form.
 */
static unsigned int decode(const char *text, uint32_t *ret)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} kinds[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	const uint8_t *bytes = (const uint8_t *)text;

	for (unsigned int nr = 1; nr <= ARRAY_SIZE(kinds); nr++) {
		uint32_t value = bytes[0] & (uint8_t)~kinds[nr - 1].mask;

		if ((bytes[0] & kinds[nr - 1].mask) != kinds[nr - 1].lead)
			continue;
		for (unsigned int i = 1; i < nr; i++) {
			if ((bytes[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (bytes[i] & 0x3f);
		}
		*ret = value;
		return value < kinds[nr - 1].least ? 0 : nr;
	}
	return 0;
}

/* Controls, line separators, and what changes the direction of writing */
static bool is_dangerous(uint32_t value)
{
	return value < 0x20 || (value >= 0x7f && value < 0xa0) ||
	       value == 0x061c || value == 0x200e || value == 0x200f ||
	       (value >= 0x2028 && value <= 0x202e) ||
	       (value >= 0x2066 && value <= 0x2069) || value == 0xfeff;
}

/* Writes what stands for the beginning of text. Returns its bytes. */
static unsigned int escape_one(const char *text, char *out)
{
	uint32_t value = 0;
	unsigned int nr = decode(text, &value);

	if (!nr) {
		snprintf(out, ESCAPED_BYTES + 1, "\\x%02x", (uint8_t)*text);
		return 1;
	}
	if (value == '\\')
		memcpy(out, "\\\\", 3);
	else if (is_dangerous(value) && value < 0x100)
		snprintf(out, ESCAPED_BYTES + 1, "\\x%02x", value);
	else if (is_dangerous(value))
		snprintf(out, ESCAPED_BYTES + 1, "\\u%04x", value & 0xffff);
	else
		snprintf(out, ESCAPED_BYTES + 1, "%.*s", (int)nr, text);
	return nr;
}

bool text_is_utf8(const char *text)
{
	uint32_t value;
	unsigned int nr;

	for (; *text; text += nr) {
		nr = decode(text, &value);
		if (!nr || value > 0x10ffff ||
		    (value >= 0xd800 && value < 0xe000))
			return false;
	}
	return true;
}

char *text_escape(const char *text)
{
	char *escaped = malloc(ESCAPED_BYTES * strlen(text) + 1);
	char *end = escaped;

	if (!escaped)
		return NULL;
	*end = '\0';
	while (*text) {
		text += escape_one(text, end);
		end += strlen(end);
	}
	return escaped;
}

void text_print(FILE *file, const char *text)
{
	char one[ESCAPED_BYTES + 1];

	while (*text) {
		text += escape_one(text, one);
		fputs(one, file);
	}
}

void text_print_xml(FILE *file, const char *text)
{
	char one[ESCAPED_BYTES + 1];

	while (*text) {
		char c = *text;

		text += escape_one(text, one);
		if (c == '&')
			fputs("&amp;", file);
		else if (c == '<')
			fputs("&lt;", file);
		else if (c == '>')
			fputs("&gt;", file);
		else if (c == '\'')
			fputs("&apos;", file);
		else if (c == '"')
			fputs("&quot;", file);
		else
			fputs(c == '\\' ? "\\" : one, file);
	}
}

unsigned int text_width(const char *escaped)
{
	unsigned int width = 0;

	for (; *escaped; escaped++)
		width += ((uint8_t)*escaped & 0xc0) != 0x80;
	return width;
}

/* Three digits and a unit; units ends with NULL. */
static struct text_number format(double value, double base,
				 const char *const *units, bool exact)
{
	struct text_number ret;
	int nr_decimals = 0;

	if (!(value >= 0))
		value = 0; /* nor is it a number then */
	/* 999.6 is not to become "1000" */
	while (value >= (base > 1000 ? 1023.5 : 999.5) && units[1]) {
		value /= base;
		units++;
		exact = false;
	}
	if (!exact || value != (double)(unsigned int)value)
		nr_decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	snprintf(ret.text, sizeof(ret.text), "%.*f%s", nr_decimals, value,
		 *units);
	return ret;
}

struct text_number text_count(double count)
{
	static const char *const units[] = { "",  "k", "M", "G",
					     "T", "P", "E", NULL };

	return format(count, 1000, units, true);
}

struct text_number text_bytes(double bytes)
{
	static const char *const units[] = { "",   "Ki", "Mi", "Gi",
					     "Ti", "Pi", "Ei", NULL };

	return format(bytes, 1024, units, true);
}

struct text_number text_nsec(uint64_t nsec)
{
	static const char *const units[] = { "ns", "us", "ms", "s", NULL };

	return format((double)nsec, 1000, units, true);
}
