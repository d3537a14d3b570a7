/* SPDX-License-Identifier: MIT */
/*
 * meter - what the server's process has used up so far, from outside
 */
#include "bench/meter.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/nsec.h"
#include "common/base.h"
#include "common/log.h"

#define TAG "ringhost"

int meter_init(struct meter *meter, pid_t pid)
{
	int error = clock_getcpuclockid(pid, &meter->clock);

	if (error) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--pid=%d cannot be measured: there is no such process",
		       pid);
		return -error;
	}
	meter->pid = pid;
	return 0;
}

static FILE *open_file(const struct meter *meter, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", meter->pid, name);
	return fopen(path, "re");
}

static void read_stat(const struct meter *meter, struct meter_reading *ret)
{
	FILE *file = open_file(meter, "stat");
	char line[1024];
	const char *behind_name;

	if (!file)
		return;
	/* the name may hold anything but the last bracket */
	if (fgets(line, sizeof(line), file) &&
	    (behind_name = strrchr(line, ')')))
		sscanf(behind_name,
		       ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		       "%" SCNu64 " %" SCNu64,
		       &ret->user_ticks, &ret->system_ticks);
	fclose(file);
}

static void read_rss(const struct meter *meter, struct meter_reading *ret)
{
	FILE *file = open_file(meter, "statm");
	uint64_t nr_pages;

	if (!file)
		return;
	if (fscanf(file, "%*u %" SCNu64, &nr_pages) == 1)
		ret->rss_bytes = nr_pages * (uint64_t)sysconf(_SC_PAGESIZE);
	fclose(file);
}

static uint64_t read_switches(const struct meter *meter, pid_t tid)
{
	uint64_t sum = 0;
	uint64_t nr;
	char name[64];
	char line[256];
	FILE *file;

	snprintf(name, sizeof(name), "task/%d/status", tid);
	file = open_file(meter, name);
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &nr) ==
			    1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &nr) ==
			    1)
			sum += nr;
	fclose(file);
	return sum;
}

static void read_threads(const struct meter *meter, struct meter_reading *ret)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", meter->pid);
	dir = opendir(path);
	if (!dir)
		return;
	while (ret->nr_threads < METER_MAX_THREADS && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		ret->threads[ret->nr_threads++] = (struct meter_thread){
			.tid = tid,
			.nr_switches = read_switches(meter, tid),
		};
	}
	closedir(dir);
}

void meter_read(const struct meter *meter, struct meter_reading *ret)
{
	ret->nr_threads = 0;
	ret->user_ticks = 0;
	ret->system_ticks = 0;
	ret->rss_bytes = 0;
	ret->cpu_nsec = nsec_of(meter->clock);
	read_stat(meter, ret);
	read_rss(meter, ret);
	read_threads(meter, ret);
}

/* 0 for a thread that was not there */
static uint64_t switches_of(const struct meter_reading *reading, pid_t tid)
{
	for (uint32_t i = 0; i < reading->nr_threads; i++)
		if (reading->threads[i].tid == tid)
			return reading->threads[i].nr_switches;
	return 0;
}

void meter_subtract(const struct meter_reading *from,
		    const struct meter_reading *to, struct meter_result *ret)
{
	uint64_t user = to->user_ticks - from->user_ticks;
	uint64_t system = to->system_ticks - from->system_ticks;

	*ret = (struct meter_result){
		.cpu_nsec = to->cpu_nsec > from->cpu_nsec ?
				    to->cpu_nsec - from->cpu_nsec :
				    0,
		.system_share = -1,
		.rss_bytes = to->rss_bytes,
	};
	if (to->user_ticks >= from->user_ticks &&
	    to->system_ticks >= from->system_ticks && user + system)
		ret->system_share = (double)system / (double)(user + system);
	for (uint32_t i = 0; i < to->nr_threads; i++)
		ret->nr_switches += to->threads[i].nr_switches -
				    MIN(to->threads[i].nr_switches,
					switches_of(from, to->threads[i].tid));
}
