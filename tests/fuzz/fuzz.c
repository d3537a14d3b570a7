/* SPDX-License-Identifier: MIT */
/* fuzz - what all fuzzers have in common */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ringhost/log.h>

#include "tests/fuzz/fuzz.h"

#define MAX_LOOKS 10000

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

int fuzz_next_fd(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	FUZZ_CHECK(fd >= 0);
	close(fd);
	return fd;
}

void fuzz_check_fds(int next_fd)
{
	for (int i = 0; i < MAX_LOOKS; i++) {
		if (fuzz_next_fd() == next_fd)
			return;
		sched_yield();
	}
	fuzz_fail("no file was left open", __FILE__, __LINE__);
}
