/* SPDX-License-Identifier: MIT */
/*
 * fault_values - the words of a rule, one at a time
 *
 * A take function checks one word's value and stores it in the rule; it knows
 * nothing of the other words. It returns 0, or -EINVAL after it has logged a
 * sentence. For fault_rule.c only; any thread.
 */
#ifndef SERVER_DRIVERS_FAULT_VALUES_H
#define SERVER_DRIVERS_FAULT_VALUES_H

#include "common/base.h"
#include "server/drivers/fault_rule.h"

#define FAULT_TAG "ringhost"

struct fault_reader {
	const char *text; /* the whole rule */
	const char *name; /* of the word at hand */
	const char *value;
	struct fault_rule *rule;
};

/* Log why the rule is refused. Returns -EINVAL. */
int PRINTF_LIKE(2, 3) fault_refuse(const struct fault_reader *reader,
				   const char *format, ...);

int fault_take_after(struct fault_reader *reader);
int fault_take_first(struct fault_reader *reader);
int fault_take_nth(struct fault_reader *reader);
int fault_take_every(struct fault_reader *reader);
int fault_take_up(struct fault_reader *reader);
int fault_take_down(struct fault_reader *reader);
int fault_take_chance(struct fault_reader *reader);
int fault_take_offset(struct fault_reader *reader);
int fault_take_error(struct fault_reader *reader);
int fault_take_delay(struct fault_reader *reader);
int fault_take_hold(struct fault_reader *reader);
int fault_take_hang(struct fault_reader *reader);
int fault_take_flip(struct fault_reader *reader);
int fault_take_short(struct fault_reader *reader);
int fault_take_power_cut(struct fault_reader *reader);

#endif
