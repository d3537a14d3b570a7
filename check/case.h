/* SPDX-License-Identifier: MIT */
/*
 * case - one conformance case, and what it says when something is wrong
 *
 * A case is a function that drives the back-end and returns when all was as
 * its promise says. It runs in a process of its own: the functions below that
 * are marked noreturn end that process and leave a verdict behind, so a case
 * needs no clean-up of its own, and one that hangs is ended from outside.
 *
 * A promise is what the document of the section demands, as a statement. What
 * was seen instead is one sentence, given to check_fail().
 */
#ifndef CHECK_CASE_H
#define CHECK_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/vm.h"
#include "common/base.h"

enum check_outcome {
	CHECK_NOT_RUN,
	CHECK_PASSED,
	CHECK_FAILED,
	CHECK_SKIPPED,
};

/* What a case needs or does besides features. */
#define CHECK_HOSTILE	0x01u /* sends what no front-end or driver may */
#define CHECK_WRITES	0x02u /* writes to the scratch range */
#define CHECK_READ_ONLY 0x04u /* is about read-only disks */
#define CHECK_PID	0x08u /* looks at the process */
#define CHECK_QUEUES_2	0x10u /* needs two queues */

struct check;

struct check_case {
	const char *name;
	const char *section; /* of "vhost-user: ..." or "virtio 1.3: ..." */
	const char *promise; /* a statement, without a full stop */
	void (*run)(struct check *check);
	unsigned int flags;
	uint64_t features; /* that must be offered */
	uint64_t protocol;
};

struct check_group {
	const char *name; /* one word */
	const char *title;
	const struct check_case *cases;
	size_t nr_cases;
};

#define CHECK_GROUP(group_name, group_title, array)                            \
	{                                                                      \
		.name = group_name, .title = group_title, .cases = array,      \
		.nr_cases = ARRAY_SIZE(array)                                  \
	}

/* What a case leaves behind, in memory that both processes see. */
struct check_verdict {
	enum check_outcome outcome;
	char text[600];
	char last[200];	 /* what was sent last that might do harm */
	bool at_connect; /* it failed because nobody was there */
};

struct check {
	const struct target *target;
	struct check_verdict *verdict;
	unsigned int next_slot;
	struct vm vm; /* for the case to use; a second one is its own */
};

/* The promise is broken; the rest is a sentence without a full stop. */
_Noreturn void check_fail(struct check *check, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* This back-end cannot be asked; why, as "it does not ...". */
_Noreturn void check_skip(struct check *check, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Memory of zeroes; the case fails if there is none. */
void *check_alloc(struct check *check, size_t bytes)
	__attribute__((returns_nonnull));

/* A negative errno of tests/frontend as "the back-end ..."; a constant. */
const char *check_error(int error);

/* Fail with "WHAT: ..." unless error is 0. */
void check_done(struct check *check, int error, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Fail unless the back-end refused, in its answer or by closing. */
void check_refused(struct check *check, int error, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Fail if the back-end fell silent; an answer and closing are welcome. */
void check_harmless(struct check *check, int error, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Steps of vm.h on check->vm that must succeed. options may be NULL. */
struct vm *check_dial(struct check *check);
struct vm *check_connect(struct check *check, const struct vm_options *options);
struct vm *check_prepare(struct check *check, const struct vm_options *options);
struct vm *check_open(struct check *check, const struct vm_options *options);
void check_start(struct check *check, struct vm *vm);

/* A read of a slot must bring what was there at the beginning. */
void check_read(struct check *check, struct vm *vm, unsigned int queue);

/*
 * The first one of queue 0, which brings a notification whatever is asked for
 * later: none is on its way any more when this returns.
 */
void check_first_read(struct check *check, struct vm *vm);

/* Bytes that depend on seed and place, and the comparison with them. */
void check_fill(void *data, size_t bytes, uint64_t seed);
bool check_filled(const void *data, size_t bytes, uint64_t seed);

/* A write to a slot, and a read of it that must bring the same. */
void check_write(struct check *check, struct vm *vm, unsigned int queue);

/* Add a read of the next slot, not submitted. */
struct fe_blk_request *check_add_read(struct check *check, struct vm *vm,
				      unsigned int queue);

/* Wait for all reads of check_add_read() and check what they brought. */
void check_reap(struct check *check, struct vm *vm, unsigned int queue);

/*
 * Fail if the process holds more than before, taken by target_measure(); the
 * allowance is for mappings of its allocator and threads.
 */
void check_same_footprint(struct check *check,
			  const struct target_footprint *before);

/* Take it. */
struct target_footprint check_footprint(struct check *check);

#endif
