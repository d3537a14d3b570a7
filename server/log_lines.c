/* SPDX-License-Identifier: MIT */
/*
 * log_lines - how a line of the log is written to standard error
 *
 * A line is put together first and written with one call, so that those of
 * several threads do not mix. The calendar is our own, since that of the C
 * library opens files, which a confined process cannot.
 */
#include "server/log_lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "common/nsec.h"
#include "common/utf8.h"

#define TAG	   "ringhost"
#define LINE_BYTES 4096
#define TAIL_BYTES 40 /* the end of the object, with its last number */

static bool as_json;

bool log_lines_set_format(const char *name)
{
	if (strcmp(name, "json") != 0 && strcmp(name, "text") != 0)
		return false;
	as_json = name[0] == 'j';
	return true;
}

/* What is left of the room for a line. */
struct out {
	char *at;
	size_t left; /* without what is kept for the end */
};

/* All of it, or nothing. */
static bool put(struct out *out, const char *text, size_t nr)
{
	if (nr > out->left)
		return false;
	memcpy(out->at, text, nr);
	out->at += nr;
	out->left -= nr;
	return true;
}

static void put_text(struct out *out, const char *text)
{
	put(out, text, strlen(text));
}

static bool put_character(struct out *out, const char *character, size_t nr)
{
	char escape[8];

	if (!nr)
		return put(out, "\\ufffd", 6); /* U+FFFD: no character */
	if (character[0] == '"' || character[0] == '\\') {
		snprintf(escape, sizeof(escape), "\\%c", character[0]);
		return put(out, escape, 2);
	}
	if ((uint8_t)character[0] < ' ' || character[0] == 0x7f) {
		snprintf(escape, sizeof(escape), "\\u%04x",
			 (unsigned int)character[0]);
		return put(out, escape, 6);
	}
	return put(out, character, nr);
}

static void put_string(struct out *out, const char *text)
{
	while (*text) {
		size_t nr = rh_utf8_length(text);

		if (!put_character(out, text, nr))
			return;
		text += MAX(nr, (size_t)1);
	}
}

/*
 * Days since 1970 as a date. Years begin with March here, so that the day that
 * not every year has is a year's last one.
 */
static void put_date(struct out *out, uint64_t days)
{
	uint64_t day = days + 719468; /* since 1 March of the year 0 */
	uint64_t era = day / 146097;  /* of 400 years */
	uint64_t of_era = day % 146097;
	uint64_t year =
		(of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
		365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153; /* 0: March */
	unsigned int number = (unsigned int)(year + era * 400 + (month > 9));
	char text[48];

	snprintf(text, sizeof(text), "%04u-%02u-%02u", number,
		 (unsigned int)(month < 10 ? month + 3 : month - 9),
		 (unsigned int)(of_year - (153 * month + 2) / 5 + 1));
	put_text(out, text);
}

static void put_time(struct out *out, uint64_t nsec)
{
	uint64_t seconds = nsec / NSEC_PER_SEC;
	char text[32];

	put_date(out, seconds / 86400);
	snprintf(text, sizeof(text), "T%02u:%02u:%02u.%06uZ",
		 (unsigned int)(seconds / 3600 % 24),
		 (unsigned int)(seconds / 60 % 60),
		 (unsigned int)(seconds % 60),
		 (unsigned int)(nsec % NSEC_PER_SEC / 1000));
	put_text(out, text);
}

void log_lines_json(const struct log_line *line, char *to, size_t room)
{
	static const char *const levels[] = {
		[RH_LOG_ERROR] = "error",
		[RH_LOG_WARNING] = "warning",
		[RH_LOG_INFO] = "info",
		[RH_LOG_DEBUG] = "debug",
	};
	struct out out = { to, room - TAIL_BYTES };

	assert(room >= LOG_LINES_MIN_BYTES);
	put_text(&out, "{\"time\":\"");
	put_time(&out, line->time_nsec);
	put_text(&out, "\",\"level\":\"");
	put_text(&out, levels[line->level]);
	put_text(&out, "\",\"tag\":\"");
	out.left -= 16; /* for what comes before the text */
	put_string(&out, line->tag);
	out.left += 16;
	put_text(&out, "\",\"message\":\"");
	put_string(&out, line->text);
	out.left += TAIL_BYTES;
	if (line->nr_suppressed)
		snprintf(out.at, out.left, "\",\"suppressed\":%u}\n",
			 line->nr_suppressed);
	else
		snprintf(out.at, out.left, "\"}\n");
}

static void print_text(enum rh_log_level level, const char *tag,
		       const char *line)
{
	static const char *const kinds[] = {
		[RH_LOG_ERROR] = "error: ",
		[RH_LOG_WARNING] = "warning: ",
		[RH_LOG_INFO] = "",
		[RH_LOG_DEBUG] = "",
	};

	if (!strcmp(tag, TAG))
		fprintf(stderr, TAG ": %s%s\n", kinds[level], line);
	else
		fprintf(stderr, TAG ": %s: %s%s\n", tag, kinds[level], line);
}

void log_lines_print(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	char json[LINE_BYTES];
	struct log_line parts = {
		.level = level,
		.tag = tag,
		.text = line,
		.nr_suppressed = rh_log_nr_suppressed(),
	};

	(void)opaque;
	if (!as_json) {
		print_text(level, tag, line);
		return;
	}
	parts.time_nsec = nsec_of(CLOCK_REALTIME);
	log_lines_json(&parts, json, sizeof(json));
	fputs(json, stderr);
}
