/* SPDX-License-Identifier: MIT */
/*
 * log_lines - how a line of the log is written to standard error
 *
 * As text for people, or as a JSON object for programs:
 *
 *	{"time":"2026-11-30T11:02:03.000042Z","level":"warning","tag":"disk0",
 *	 "message":"...","suppressed":3}
 *
 * suppressed, where it is there, is the number of lines that were left out
 * since they came too often. What a peer has had a hand in may be any bytes:
 * a line stays one line, and JSON.
 *
 * Any thread writes; the format is set before there is a second one.
 */
#ifndef SERVER_LOG_LINES_H
#define SERVER_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringhost/log.h>

/* A name of a format: "text" or "json". False: it is none, nothing changes. */
bool log_lines_set_format(const char *name);

/* The hook of the log. */
void log_lines_print(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line);

struct log_line {
	uint64_t time_nsec; /* since 1970 */
	enum rh_log_level level;
	const char *tag;
	const char *text;
	unsigned int nr_suppressed;
};

/*
 * The object with a newline and a NUL behind it. Where there is not enough
 * room, tag and text are cut, so that it is an object all the same; room: at
 * least LOG_LINES_MIN_BYTES.
 */
void log_lines_json(const struct log_line *line, char *to, size_t room);

#define LOG_LINES_MIN_BYTES 160

#endif
