/* SPDX-License-Identifier: MIT */
/* fuzz - what all fuzzers have in common */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <ringhost/log.h>

#include "tests/fuzz/fuzz.h"

#define MAX_LOOKS 10000
#define MAX_FDS	  128

static bool was_open[MAX_FDS];

const char *__asan_default_options(void);

/*
 * Memory that was freed is kept from use for a run's length, and a little:
 * more of it would cost a page fault for almost every allocation.
 */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:malloc_context_size=8";
}

void fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
	abort();
}

static void drop_line(void *opaque, enum rh_log_level level, const char *tag,
		      const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
}

void fuzz_keep_quiet(void)
{
	rh_log_set(drop_line, NULL, RH_LOG_INFO);
}

/* One call tells of all numbers which of them are files. */
static void list_fds(bool *is_open)
{
	struct pollfd fds[MAX_FDS];

	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = (struct pollfd){ .fd = i };
	FUZZ_CHECK(poll(fds, MAX_FDS, 0) >= 0);
	for (int i = 0; i < MAX_FDS; i++)
		is_open[i] = !(fds[i].revents & POLLNVAL);
}

static bool has_new_fd(void)
{
	bool is_open[MAX_FDS];

	list_fds(is_open);
	for (int i = 0; i < MAX_FDS; i++) {
		if (is_open[i] && !was_open[i])
			return true;
	}
	return false;
}

void fuzz_note_fds(void)
{
	list_fds(was_open);
}

void fuzz_check_fds(void)
{
	for (int i = 0; has_new_fd(); i++) {
		FUZZ_CHECK(i < MAX_LOOKS);
		sched_yield();
	}
}
