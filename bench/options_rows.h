/* SPDX-License-Identifier: MIT */
/*
 * options_rows - each option's name, its value, and where it goes
 *
 * The table behind options.c, and nobody else's.
 */
#ifndef BENCH_OPTIONS_ROWS_H
#define BENCH_OPTIONS_ROWS_H

#include <stdbool.h>

#include "bench/options.h"

#define BENCH_MAX_ROWS 32

struct bench_parser {
	struct bench_options *options;
	const struct bench_row *row; /* the option at hand */
	const char *value;	     /* its value; NULL if it takes none */
};

struct bench_row {
	const char *name;
	/* Check and store the value. Returns 0 or -EINVAL (logged). */
	int (*take)(struct bench_parser *parser);
	bool has_value;
};

/* The last one has no name. */
extern const struct bench_row bench_rows[BENCH_MAX_ROWS];

#endif
