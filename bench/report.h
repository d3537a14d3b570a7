/* SPDX-License-Identifier: MIT */
/*
 * report - what a run found, for people and for programs
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "bench/load.h"

void bench_report_text(FILE *file, const struct load *load,
		       const struct load_result *result);

/* Returns 0 or -ENOMEM. */
int bench_report_json(FILE *file, const struct load *load,
		      const struct load_result *result);

#endif
