/* SPDX-License-Identifier: MIT */
/*
 * base - the handful of C idioms that everything here uses
 *
 * Peer numbers go through the checked arithmetic below: it returns true when
 * the result does not fit, and *ret is then not to be used.
 */
#ifndef COMMON_BASE_H
#define COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member)                                    \
	((type *)((char *)(pointer)-offsetof(type, member)))

#define MIN(a, b)                                                              \
	({                                                                     \
		__typeof__(a) min_a_ = (a);                                    \
		__typeof__(b) min_b_ = (b);                                    \
		min_a_ < min_b_ ? min_a_ : min_b_;                             \
	})

#define MAX(a, b)                                                              \
	({                                                                     \
		__typeof__(a) max_a_ = (a);                                    \
		__typeof__(b) max_b_ = (b);                                    \
		max_a_ > max_b_ ? max_a_ : max_b_;                             \
	})

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* Out of the way of what is executed for each request */
#define cold_code __attribute__((noinline, cold))

/* Not cold, but in nobody's way whom it does not concern */
#define out_of_line		 __attribute__((noinline))

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

static inline bool is_power_of_2(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* align: a power of two */
static inline bool is_aligned(uint64_t value, uint64_t align)
{
	return !(value & (align - 1));
}

static inline uint64_t align_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

static inline void cleanup_free_(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Freed, or closed, when the variable goes out of scope. */
#define cleanup_free  __attribute__((cleanup(cleanup_free_)))
#define cleanup_close __attribute__((cleanup(cleanup_close_)))

/* The value leaves a cleanup variable for its new owner. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline void *steal_pointer_(void *pointer)
{
	void *stolen = *(void **)pointer;

	*(void **)pointer = NULL;
	return stolen;
}

#define steal_pointer(pointer) ((__typeof__(*(pointer)))steal_pointer_(pointer))

#endif
