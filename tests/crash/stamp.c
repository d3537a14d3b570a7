/* SPDX-License-Identifier: MIT */
/*
 * stamp - 512 bytes that say who wrote them
 *
 * Four words say it. Each of the others is a number of its own for every
 * stamp, from which the place of a tear can be seen in a dump.
 */
#include <string.h>

#include "tests/crash/stamp.h"

#define MAGIC	 UINT64_C(0x706d617473)
#define NR_WORDS (STAMP_BYTES / sizeof(uint64_t))
#define FIRST	 5 /* of the words that follow from those before */

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= UINT64_C(0xff51afd7ed558ccd);
	value ^= value >> 33;
	value *= UINT64_C(0xc4ceb9fe1a85ec53);
	value ^= value >> 33;
	return value;
}

static void make(const struct stamp *stamp, uint64_t words[NR_WORDS])
{
	uint64_t base;

	words[0] = MAGIC;
	words[1] = stamp->sequence;
	words[2] = stamp->sector;
	words[3] = stamp->writer;
	words[4] = stamp->is_spent;
	base = mix(mix(mix(words[1]) + words[2]) + words[3] * 2 + words[4]);
	for (unsigned int i = FIRST; i < NR_WORDS; i++)
		words[i] = base + i * UINT64_C(0x9e3779b97f4a7c15);
}

void stamp_write(const struct stamp *stamp, void *sector)
{
	uint64_t words[NR_WORDS];

	make(stamp, words);
	memcpy(sector, words, sizeof(words));
}

void stamp_write_run(const struct stamp *stamp, void *data, uint32_t nr_sectors)
{
	struct stamp one = *stamp;

	for (uint32_t i = 0; i < nr_sectors; i++) {
		stamp_write(&one, (uint8_t *)data + i * STAMP_BYTES);
		one.sector++;
	}
}

static bool is_zero(const uint64_t words[NR_WORDS])
{
	uint64_t any = 0;

	for (unsigned int i = 0; i < NR_WORDS; i++)
		any |= words[i];
	return !any;
}

enum stamp_kind stamp_read(const void *sector, struct stamp *ret)
{
	uint64_t words[NR_WORDS];
	uint64_t whole[NR_WORDS];

	memcpy(words, sector, sizeof(words));
	if (is_zero(words))
		return STAMP_ZEROES;
	if (words[0] != MAGIC)
		return STAMP_BROKEN;
	*ret = (struct stamp){
		.sequence = words[1],
		.sector = words[2],
		.writer = words[3],
		.is_spent = words[4] & 1,
	};
	make(ret, whole);
	return memcmp(words, whole, sizeof(words)) ? STAMP_BROKEN : STAMP_WHOLE;
}
