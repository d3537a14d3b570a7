/* SPDX-License-Identifier: MIT */
/*
 * poison - memory that the address sanitizer lets nobody touch
 *
 * In a build without it nothing happens.
 */
#ifndef TESTS_FUZZ_POISON_H
#define TESTS_FUZZ_POISON_H

#include <stddef.h>

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

#endif
