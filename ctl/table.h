/* SPDX-License-Identifier: MIT */
/*
 * table - columns that are as wide as what stands in them
 *
 * Cells are escaped (text.h) and filled in from left to right, row by row.
 *
 * Owner: the caller; one thread.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/base.h"

#define TABLE_MAX_COLUMNS 16

struct table_column {
	const char *title;
	bool right; /* numbers stand on the right */
};

struct table {
	const struct table_column *columns; /* not owned */
	unsigned int nr_columns;	    /* up to TABLE_MAX_COLUMNS */
	char **cells;
	size_t nr_cells;
	bool failed; /* there was no memory for one */
};

/* Zeroes with columns and nr_columns set is an empty one. */
void table_deinit(struct table *table);

/* The next cell, as of printf. */
PRINTF_LIKE(2, 3) void table_add(struct table *table, const char *format, ...);

/*
 * Titles and whole rows, each cut at max_width (0: never). max_rows: so many at
 * most (0: all). Returns 0 or -ENOMEM.
 */
int table_print(const struct table *table, FILE *file, unsigned int max_width,
		size_t max_rows);

#endif
