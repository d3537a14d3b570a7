/* SPDX-License-Identifier: MIT */
/*
 * pattern - what a written block holds, so that it can be checked
 *
 * Each block tells where it belongs and which write of its run it comes from,
 * and a checksum covers all of it; what fills the rest follows from both, so
 * that no two blocks are alike.
 *
 * Any thread.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdint.h>

#define PATTERN_MIN_BYTES 512

struct pattern_stamp {
	uint64_t offset;   /* in bytes on the disk */
	uint64_t sequence; /* the number of the write */
	uint64_t run;	   /* differs between runs */
};

enum pattern_verdict {
	PATTERN_GOOD,
	PATTERN_FOREIGN,   /* nothing that a run of this program wrote */
	PATTERN_DAMAGED,   /* this program wrote it, not like this */
	PATTERN_MISPLACED, /* whole, but of another place */
	PATTERN_OTHER_RUN,
	PATTERN_STALE, /* whole, but of another write to this place */
};

/* data: aligned to 8; bytes: a multiple of 8, at least PATTERN_MIN_BYTES */
void pattern_fill(void *data, uint64_t bytes, struct pattern_stamp stamp);

enum pattern_verdict pattern_check(const void *data, uint64_t bytes,
				   struct pattern_stamp stamp);

/* What a verdict that is not good means, to stand behind "the block". */
const char *pattern_words(enum pattern_verdict verdict);

#endif
