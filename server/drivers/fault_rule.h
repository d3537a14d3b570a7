/* SPDX-License-Identifier: MIT */
/*
 * fault_rule - what is to go wrong, and when: one --fault=RULE
 *
 * docs/fault-injection.md has the language. A rule is read once, when the
 * command line is, and armed when its disk is opened; what it has seen is then
 * counted in the armed rule. Nothing here knows how an effect comes about.
 *
 * Reading: any thread. An armed rule belongs to whoever guards it.
 */
#ifndef SERVER_DRIVERS_FAULT_RULE_H
#define SERVER_DRIVERS_FAULT_RULE_H

#include <stdbool.h>
#include <stdint.h>

/* The first five are those of enum blk_op. */
enum fault_op {
	FAULT_READ,
	FAULT_WRITE,
	FAULT_FLUSH,
	FAULT_DISCARD,
	FAULT_WRITE_ZEROES,
	FAULT_HOST_READ,
	FAULT_HOST_WRITE,
	FAULT_HOST_SYNC,
	FAULT_HOST_ZERO,
	FAULT_SIGNAL,
	NR_FAULT_OPS,
};

enum fault_effect {
	FAULT_NOTHING,
	FAULT_ERROR,
	FAULT_DELAY,
	FAULT_HOLD,
	FAULT_HANG,
	FAULT_FLIP,
	FAULT_SHORT,
	FAULT_POWER_CUT,
};

enum fault_keep {
	FAULT_KEEP_NONE,
	FAULT_KEEP_ALL,
	FAULT_KEEP_FIRST, /* count of them */
	FAULT_KEEP_RANDOM,
};

/* A place on a disk whose size is not known yet. */
struct fault_place {
	bool is_percent;
	uint64_t number;
};

struct fault_rule {
	unsigned int ops; /* a bit for each enum fault_op */

	/* Conditions */
	bool has_offset;
	struct fault_place start;
	struct fault_place end;
	uint64_t after;
	uint64_t first; /* 0: not given, as in the next ones */
	uint64_t nth;
	uint64_t every;
	uint64_t chance_ppm;
	uint64_t up_nsec;
	uint64_t down_nsec;

	/* Its effect */
	enum fault_effect effect;
	enum fault_keep keep; /* POWER_CUT */
	int error;	      /* ERROR: -errno */
	uint64_t min_nsec;    /* DELAY */
	uint64_t max_nsec;    /* DELAY; HOLD and HANG: 0 is for ever */
	uint64_t count;	      /* HOLD; POWER_CUT that keeps the first ones */
	bool has_bytes;	      /* SHORT; else half of it */
	uint64_t bytes;
};

/* Returns 0 with *ret set, or -EINVAL, logged as a sentence. */
int fault_rule_parse(const char *text, struct fault_rule *ret);

#define FAULT_MAX_RULE_BYTES 256

/* A rule on a disk. */
struct fault_armed {
	struct fault_rule rule;
	char *text;    /* as it was given */
	uint64_t seed; /* of this rule */
	uint64_t start_bytes;
	uint64_t end_bytes;
	uint64_t nr_seen;
	uint64_t nr_applied;
};

struct fault_event {
	enum fault_op op;
	uint64_t offset_bytes;
	uint64_t bytes;
	uint64_t age_nsec; /* since the disk was opened */
};

/* index: the rule's place in its list */
void fault_rule_arm(const struct fault_rule *rule, uint64_t seed,
		    unsigned int index, struct fault_armed *ret);

/* Percentages are of this size, which may change. */
void fault_rule_place(struct fault_armed *armed, uint64_t size_bytes);

/* Counts the event; true if the rule applies to it. */
bool fault_rule_applies(struct fault_armed *armed,
			const struct fault_event *event);

/* A number that depends on all of its arguments and looks like any other. */
uint64_t fault_random(uint64_t seed, uint64_t a, uint64_t b);

/* Between min and max of the rule, for what it applied to last. */
uint64_t fault_rule_delay(const struct fault_armed *armed);

#endif
