/* SPDX-License-Identifier: MIT */
/*
 * watch - how often this process reads each byte of some memory
 *
 * The memory is made inaccessible. Each access to it faults, is noted, is
 * carried out alone, and may be followed by a change of what was read: so the
 * second read of a field finds another value than the first, each time, and
 * no race has to be won for it.
 *
 * One thread, one watch at a time, x86-64. Reads by the kernel fail with
 * EFAULT. Programs link with --wrap=memcpy: the C library's reads some bytes
 * twice, for reasons of its own; the one that stands in its place here reads
 * each once.
 */
#ifndef TESTS_RACE_WATCH_H
#define TESTS_RACE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_MAX_RANGES 4

struct watch_range {
	uint8_t *start; /* whole pages */
	size_t bytes;
	uint8_t *reads; /* so often was this byte read */
	uint8_t *writes;
};

struct watch {
	unsigned int nr_ranges;
	struct watch_range ranges[WATCH_MAX_RANGES];
	/* After each read; it may write to the memory by another mapping. */
	void (*was_read)(struct watch *watch, const uint8_t *start,
			 unsigned int bytes);
	/* After each access */
	void (*was_accessed)(struct watch *watch, const uint8_t *start,
			     unsigned int bytes, bool writes);
	void *opaque; /* the user's */

	/* Our own */
	struct {
		uint8_t *start; /* NULL: nothing is carried out */
		unsigned int bytes;
		bool writes;
		uintptr_t code;
	} access;
};

/* Add a range before the begin; begin and end. */
void watch_add(struct watch *watch, void *start, size_t bytes);
void watch_begin(struct watch *watch);
void watch_end(struct watch *watch);

/* Frees the counts. */
void watch_deinit(struct watch *watch);

/* The counts of a byte; asserts that it was watched. */
unsigned int watch_reads(const struct watch *watch, const void *byte);
unsigned int watch_writes(const struct watch *watch, const void *byte);

#endif
