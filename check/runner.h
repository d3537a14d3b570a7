/* SPDX-License-Identifier: MIT */
/*
 * runner - runs cases, one process each, and asks the back-end how it is
 *
 * A case runs if its flags and features fit the back-end and the options; it
 * ends by itself or when its time is over. After each, a fresh front-end must
 * be served and the scratch range gets its old contents back; if it is not,
 * the case has failed, whatever it said, and the rest is run only if a command
 * was given that starts the back-end anew.
 */
#ifndef CHECK_RUNNER_H
#define CHECK_RUNNER_H

#include "check/case.h"
#include "check/options.h"
#include "check/target.h"

struct check_result {
	const struct check_group *group;
	const struct check_case *test;
	enum check_outcome outcome;
	bool lost; /* the back-end was not there any more afterwards */
	double seconds;
	char *text; /* why it failed or was skipped; NULL when it passed */
};

struct check_results {
	struct check_result *array;
	size_t nr;
	size_t nr_of[CHECK_SKIPPED + 1]; /* by outcome */
	bool scratch_lost;		 /* it could not be put back */
};

/* Called after each case. */
typedef void (*runner_report_fn)(const struct check_result *result,
				 void *opaque);

/*
 * Run all cases that options choose. Returns 0, also when cases failed, or
 * -errno when they could not be run at all. ret: to be freed by
 * runner_free(), in any case.
 */
int runner_run(const struct check_options *options, struct target *target,
	       runner_report_fn report, void *opaque,
	       struct check_results *ret);
void runner_free(struct check_results *results);

#endif
