/* SPDX-License-Identifier: MIT */
/*
 * log - one sentence, one level, one object's tag, into the hook
 *
 * The hook is set with rh_log_set() (<ringhost/log.h>). Who detects a fault
 * logs it, with its numbers; who passes it on is silent.
 *
 * Any thread. A struct log_limit belongs to the object whose lines it limits
 * and to that object's thread.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

#include <ringhost/log.h>

#include "common/base.h"

/* At most LOG_LIMIT_BURST lines an interval; zero-initialised is ready. */
struct log_limit {
	uint64_t interval_start_usec;
	unsigned int nr_lines;
	unsigned int nr_suppressed;
};

#define LOG_LIMIT_BURST		5
#define LOG_LIMIT_INTERVAL_USEC 10000000

void rh_log(enum rh_log_level level, const char *tag, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* As rh_log(), unless limit is exhausted; says later how many were left out. */
void rh_log_limited(struct log_limit *limit, enum rh_log_level level,
		    const char *tag, const char *format, ...) PRINTF_LIKE(4, 5);

/*
 * For a hook: how many lines the one at hand says were left out; 0 for all
 * others.
 */
unsigned int rh_log_nr_suppressed(void);

/* True if a line of this level reaches the hook. */
bool rh_log_wanted(enum rh_log_level level);

#endif
