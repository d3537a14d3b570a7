/* SPDX-License-Identifier: MIT */
/*
 * loglinear - the buckets of a histogram of times
 *
 * Small values have a bucket each; from there on each power of two is cut into
 * as many equal buckets, so that a bucket is never wider than a fixed share of
 * its lowest value, whatever the value. Finding one takes a few instructions.
 *
 * sub_bits: the logarithm of the number of buckets of a power of two, above 0.
 * Arithmetic only; any thread.
 */
#ifndef COMMON_LOGLINEAR_H
#define COMMON_LOGLINEAR_H

#include <stdint.h>

/* For values below 2^max_bits. */
#define LOGLINEAR_NR_BUCKETS(max_bits, sub_bits)                               \
	(((max_bits) - (sub_bits) + 1u) << (sub_bits))

static inline unsigned int loglinear_index(uint64_t value,
					   unsigned int sub_bits)
{
	unsigned int shift;

	if (value < UINT64_C(1) << sub_bits)
		return (unsigned int)value;
	shift = 63 - sub_bits - (unsigned int)__builtin_clzll(value);
	return (shift << sub_bits) + (unsigned int)(value >> shift);
}

/* The lowest value of a bucket. */
static inline uint64_t loglinear_lowest(unsigned int index,
					unsigned int sub_bits)
{
	unsigned int shift = index >> sub_bits;

	if (shift <= 1)
		return index; /* one value a bucket */
	shift--;
	return (uint64_t)(index - (shift << sub_bits)) << shift;
}

/* The value that stands for all of a bucket. */
static inline uint64_t loglinear_middle(unsigned int index,
					unsigned int sub_bits)
{
	uint64_t lowest = loglinear_lowest(index, sub_bits);

	return lowest + (loglinear_lowest(index + 1, sub_bits) - lowest) / 2;
}

#endif
