/* SPDX-License-Identifier: MIT */
/*
 * pattern - what a written block holds, so that it can be checked
 *
 * A block is a sequence of 64-bit words: magic, offset, sequence, run,
 * checksum of all others, then the filling.
 */
#include "bench/pattern.h"

#include <stddef.h>

#include "common/base.h"

#define MAGIC  UINT64_C(0x68636e6562686772) /* "rghbench" */
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define START  UINT64_C(0x7fb5d329728ea185)

enum word {
	WORD_MAGIC,
	WORD_OFFSET,
	WORD_SEQUENCE,
	WORD_RUN,
	WORD_CHECKSUM,
	WORD_FILLING,
};

/* Of all words but the checksum itself; their order matters. */
static uint64_t checksum(const uint64_t *words, uint64_t nr)
{
	uint64_t sum = START;

	for (uint64_t i = 0; i < nr; i++) {
		if (i == WORD_CHECKSUM)
			continue;
		sum = (sum ^ words[i]) * FACTOR;
		sum ^= sum >> 29;
	}
	return sum;
}

void pattern_fill(void *data, uint64_t bytes, struct pattern_stamp stamp)
{
	uint64_t nr = bytes / sizeof(uint64_t);
	uint64_t state = (stamp.offset ^ stamp.sequence * FACTOR) + stamp.run;
	uint64_t *words = data;

	words[WORD_MAGIC] = MAGIC;
	words[WORD_OFFSET] = stamp.offset;
	words[WORD_SEQUENCE] = stamp.sequence;
	words[WORD_RUN] = stamp.run;
	for (uint64_t i = WORD_FILLING; i < nr; i++) {
		state = state * FACTOR + START;
		words[i] = state ^ (state >> 31);
	}
	words[WORD_CHECKSUM] = checksum(words, nr);
}

enum pattern_verdict pattern_check(const void *data, uint64_t bytes,
				   struct pattern_stamp stamp)
{
	const uint64_t *words = data;

	if (words[WORD_MAGIC] != MAGIC)
		return PATTERN_FOREIGN;
	if (words[WORD_CHECKSUM] != checksum(words, bytes / sizeof(*words)))
		return PATTERN_DAMAGED;
	if (words[WORD_RUN] != stamp.run)
		return PATTERN_OTHER_RUN;
	if (words[WORD_OFFSET] != stamp.offset)
		return PATTERN_MISPLACED;
	if (words[WORD_SEQUENCE] != stamp.sequence)
		return PATTERN_STALE;
	return PATTERN_GOOD;
}

const char *pattern_words(enum pattern_verdict verdict)
{
	static const char *const words[] = {
		[PATTERN_GOOD] = "is what was written",
		[PATTERN_FOREIGN] = "holds something that was never written",
		[PATTERN_DAMAGED] = "is damaged: its checksum is wrong",
		[PATTERN_MISPLACED] = "holds what was written elsewhere",
		[PATTERN_OTHER_RUN] = "holds what an earlier run wrote",
		[PATTERN_STALE] = "holds what an earlier write wrote",
	};

	return verdict < ARRAY_SIZE(words) ? words[verdict] : "is unknown";
}
