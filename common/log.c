/* SPDX-License-Identifier: MIT */
/*
 * log - one sentence, one level, one object's tag, into the hook
 *
 * The three variables below are written before the first device exists and
 * only read afterwards.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "common/log.h"

#define LINE_BYTES 512

static void print_to_stderr(void *opaque, enum rh_log_level level,
			    const char *tag, const char *line)
{
	(void)opaque;
	(void)level;
	fprintf(stderr, "%s: %s\n", tag, line);
}

static rh_log_fn hook = print_to_stderr;
static void *hook_opaque;
static enum rh_log_level hook_level = RH_LOG_WARNING;

void rh_log_set(rh_log_fn fn, void *opaque, enum rh_log_level level)
{
	hook = fn ? fn : print_to_stderr;
	hook_opaque = opaque;
	hook_level = level;
}

bool rh_log_wanted(enum rh_log_level level)
{
	return level <= hook_level;
}

static void log_line(enum rh_log_level level, const char *tag,
		     const char *format, va_list args)
{
	char line[LINE_BYTES];

	vsnprintf(line, sizeof(line), format, args);
	hook(hook_opaque, level, tag, line);
}

void rh_log(enum rh_log_level level, const char *tag, const char *format, ...)
{
	va_list args;

	if (!rh_log_wanted(level))
		return;
	va_start(args, format);
	log_line(level, tag, format, args);
	va_end(args);
}

static _Thread_local unsigned int nr_told_suppressed;

unsigned int rh_log_nr_suppressed(void)
{
	return nr_told_suppressed;
}

static void tell_suppressed(const struct log_limit *limit,
			    enum rh_log_level level, const char *tag)
{
	nr_told_suppressed = limit->nr_suppressed;
	rh_log(level, tag, "%u more such lines were left out",
	       limit->nr_suppressed);
	nr_told_suppressed = 0;
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool limit_allows(struct log_limit *limit, enum rh_log_level level,
			 const char *tag)
{
	uint64_t now = now_usec();

	if (now - limit->interval_start_usec >= LOG_LIMIT_INTERVAL_USEC) {
		if (limit->nr_suppressed)
			tell_suppressed(limit, level, tag);
		*limit = (struct log_limit){ .interval_start_usec = now };
	}
	if (limit->nr_lines >= LOG_LIMIT_BURST) {
		limit->nr_suppressed++;
		return false;
	}
	limit->nr_lines++;
	return true;
}

void rh_log_limited(struct log_limit *limit, enum rh_log_level level,
		    const char *tag, const char *format, ...)
{
	va_list args;

	if (!rh_log_wanted(level) || !limit_allows(limit, level, tag))
		return;
	va_start(args, format);
	log_line(level, tag, format, args);
	va_end(args);
}
