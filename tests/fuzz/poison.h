/* SPDX-License-Identifier: MIT */
/*
 * poison - memory that the address sanitizer lets nobody touch
 *
 * In a build without it nothing happens.
 *
 * What a fuzzer itself does to each byte of a guest, in each step, is nothing
 * to be sanitized, nor to be counted as ways through the program: such a
 * function is FUZZ_PLAIN.
 */
#ifndef TESTS_FUZZ_POISON_H
#define TESTS_FUZZ_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __clang__
#define FUZZ_PLAIN                                                             \
	__attribute__((no_sanitize("address", "undefined", "coverage")))
#else
#define FUZZ_PLAIN __attribute__((no_sanitize_address, no_sanitize_undefined))
#endif

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define POISON_WORKS 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define POISON_WORKS 1
#endif

#ifdef POISON_WORKS
#include <sanitizer/asan_interface.h>

static inline void poison(const void *at, size_t bytes)
{
	ASAN_POISON_MEMORY_REGION(at, bytes);
}

static inline void unpoison(const void *at, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(at, bytes);
}
#else
static inline void poison(const void *at, size_t bytes)
{
	(void)at;
	(void)bytes;
}

static inline void unpoison(const void *at, size_t bytes)
{
	(void)at;
	(void)bytes;
}
#endif

/* bytes: a multiple of 64. Faster than memcmp(), which is watched. */
FUZZ_PLAIN static inline bool fuzz_differs(const uint8_t *one,
					   const uint8_t *other, size_t bytes)
{
	uint64_t difference = 0;

	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t a;
		uint64_t b;

		__builtin_memcpy(&a, one + i, sizeof(a));
		__builtin_memcpy(&b, other + i, sizeof(b));
		difference |= a ^ b;
	}
	return difference;
}

#endif
