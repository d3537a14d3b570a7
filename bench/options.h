/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost bench`
 *
 * Checks all that can be checked without a back-end. A refusal is logged as
 * one sentence. Any thread, one at a time, since getopt_long(3) is.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_MAX_IODEPTH     1024
#define BENCH_MAX_QUEUES      256
#define BENCH_MAX_THREADS     64
#define BENCH_MAX_QUEUE_SIZE  32768
#define BENCH_MAX_BLOCK_BYTES (16u << 20)

enum bench_format {
	BENCH_FORMAT_NORMAL,
	BENCH_FORMAT_JSON,
};

/* All strings are argv's, or constants. */
struct bench_options {
	const char *socket; /* NULL with help */
	const char *rw;	    /* the job's name in fio's words */
	bool reads, writes, random;
	bool verify;
	uint32_t read_percent; /* of the requests, where both are made */
	uint64_t block_bytes;
	uint64_t size_bytes; /* 0: up to the end of the disk */
	uint64_t offset_bytes;
	uint32_t iodepth;   /* under way in each queue */
	uint32_t flood;	    /* in the last one instead, if not 0 */
	uint32_t nr_queues; /* numjobs */
	uint32_t nr_threads;
	uint32_t queue_size; /* 0: what the rest needs */
	uint64_t runtime_msec;
	uint64_t ramp_msec;
	uint64_t timeout_msec;
	uint64_t rate_iops; /* of each queue; 0: as fast as it goes */
	uint64_t seed;
	bool packed, indirect, event_idx;
	bool poll;  /* do not wait for calls */
	bool quiet; /* no live progress */
	bool help;
	pid_t pid; /* of the server; 0: nobody looks at it */
	const char *output;
	enum bench_format format;
};

/*
 * argv[0] is the word "bench"; in the names of options, _ becomes -. Returns 0
 * with *ret set, or -EINVAL (logged).
 */
int bench_options_parse(int argc, char **argv, struct bench_options *ret);

extern const char bench_options_help[];

#endif
