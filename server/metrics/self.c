/* SPDX-License-Identifier: MIT */
/*
 * self - what the process takes of its host
 *
 * A confined process opens nothing under /proc any more, so what is needed of
 * it is opened before and read again and again.
 */
#include "server/metrics/self.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base.h"
#include "common/nsec.h"

#define FIELD_OF_START 22 /* of /proc/self/stat, proc(5) */
#define TEXT_BYTES     1024

static struct {
	bool begun;
	int statm_fd;
	DIR *fds;
	int64_t start_sec;
} self = { .statm_fd = -1, .start_sec = -1 };

/* The second field may hold anything, up to the last parenthesis. */
static int64_t field_of_start(char *text)
{
	char *field = strrchr(text, ')');
	unsigned int nr = 2;

	for (; field && nr < FIELD_OF_START; nr++)
		field = strchr(field + 1, ' ');
	return field ? strtoll(field, NULL, 10) : -1;
}

static int64_t learn_start(void)
{
	char text[TEXT_BYTES];
	FILE *file = fopen("/proc/self/stat", "re");
	size_t nr = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	int64_t ticks;
	uint64_t boot_nsec = nsec_of(CLOCK_REALTIME) - nsec_of(CLOCK_BOOTTIME);

	if (file)
		fclose(file);
	text[nr] = '\0';
	ticks = field_of_start(text);
	if (ticks < 0)
		return -1;
	return (int64_t)(boot_nsec / NSEC_PER_SEC) +
	       ticks / sysconf(_SC_CLK_TCK);
}

void self_begin(void)
{
	if (self.begun)
		return;
	self.begun = true;
	self.start_sec = learn_start();
	self.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	self.fds = opendir("/proc/self/fd");
}

static int64_t resident_bytes(void)
{
	char text[128];
	ssize_t nr = pread(self.statm_fd, text, sizeof(text) - 1, 0);
	const char *second;

	if (nr <= 0)
		return -1;
	text[nr] = '\0';
	second = strchr(text, ' ');
	return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : -1;
}

static int64_t nr_fds(void)
{
	const struct dirent *entry;
	int64_t nr = 0;

	if (!self.fds)
		return -1;
	rewinddir(self.fds);
	while ((entry = readdir(self.fds)))
		nr += entry->d_name[0] != '.';
	return nr;
}

void self_learn(struct report_process *process)
{
	struct rlimit limit = { 0 };

	process->cpu_nsec = (int64_t)nsec_of(CLOCK_PROCESS_CPUTIME_ID);
	process->start_sec = self.start_sec;
	process->resident_bytes = resident_bytes();
	process->nr_fds = nr_fds();
	process->max_fds = getrlimit(RLIMIT_NOFILE, &limit) < 0 ?
				   -1 :
				   (int64_t)limit.rlim_cur;
}
