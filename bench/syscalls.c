/* SPDX-License-Identifier: MIT */
/*
 * syscalls - counts the system calls of a process that is not ours
 */
#include "bench/syscalls.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"

#define EVENT "events/raw_syscalls/sys_enter/id"

/* The trace point's number, or 0. */
static uint64_t find_event(void)
{
	static const char *const paths[] = {
		"/sys/kernel/tracing/" EVENT,
		"/sys/kernel/debug/tracing/" EVENT,
	};
	uint64_t id = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(paths) && !id; i++) {
		FILE *file = fopen(paths[i], "re");

		if (!file)
			continue;
		if (fscanf(file, "%" SCNu64, &id) != 1)
			id = 0;
		fclose(file);
	}
	return id;
}

static int open_counter(uint64_t id, pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.inherit = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

void syscalls_init(struct syscalls *syscalls, pid_t pid)
{
	uint64_t id = find_event();
	char path[64];
	struct dirent *entry;
	DIR *dir;
	int fd = 0;

	syscalls->nr_fds = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = id ? opendir(path) : NULL;
	if (!dir)
		return;
	while (fd >= 0 && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		fd = syscalls->nr_fds < SYSCALLS_MAX_THREADS ?
			     open_counter(id, tid) :
			     -1;
		if (fd >= 0)
			syscalls->fds[syscalls->nr_fds++] = fd;
	}
	closedir(dir);
	if (fd < 0)
		syscalls_deinit(syscalls); /* half of them says nothing */
}

void syscalls_deinit(struct syscalls *syscalls)
{
	while (syscalls->nr_fds)
		rh_fd_close(&syscalls->fds[--syscalls->nr_fds]);
}

int64_t syscalls_read(const struct syscalls *syscalls)
{
	int64_t sum = 0;
	uint64_t nr;

	if (!syscalls->nr_fds)
		return -1;
	for (uint32_t i = 0; i < syscalls->nr_fds; i++) {
		if (read(syscalls->fds[i], &nr, sizeof(nr)) != sizeof(nr))
			return -1;
		sum += (int64_t)nr;
	}
	return sum;
}
