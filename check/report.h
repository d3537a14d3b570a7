/* SPDX-License-Identifier: MIT */
/*
 * report - what came of the cases, for people (text) and machines (TAP, JUnit)
 *
 * Text and TAP are written case by case, JUnit at the end, since its first
 * line has the totals. Everything that is not plain ASCII is escaped.
 */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include <stdio.h>

#include "check/options.h"
#include "check/runner.h"
#include "check/target.h"

struct report {
	enum check_format format;
	FILE *file;
	const struct target *target;
	const struct check_group *group; /* of the last case */
	size_t nr;			 /* cases so far */
	bool hostile;			 /* those cases are run, too */
};

void report_begin(struct report *report);

/* A runner_report_fn. */
void report_case(const struct check_result *result, void *opaque);

void report_end(struct report *report, const struct check_results *results);

/* Name, group, section and promise of all cases that options choose. */
void report_list(FILE *file, const struct check_options *options);

#endif
