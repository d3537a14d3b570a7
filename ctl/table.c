/* SPDX-License-Identifier: MIT */
/*
 * table - columns that are as wide as what stands in them
 */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "ctl/text.h"

#define GAP 2

void table_deinit(struct table *table)
{
	for (size_t i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->nr_cells = 0;
}

static int append(struct table *table, char *cell)
{
	char **cells =
		reallocarray(table->cells, table->nr_cells + 1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->cells[table->nr_cells++] = cell;
	return 0;
}

void table_add(struct table *table, const char *format, ...)
{
	cleanup_free char *text = NULL;
	char *cell = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		cell = text_escape(text);
	if (cell && append(table, cell) == 0)
		return;
	free(cell);
	table->failed = true;
}

static void measure(const struct table *table, unsigned int *widths)
{
	for (unsigned int i = 0; i < table->nr_columns; i++)
		widths[i] = text_width(table->columns[i].title);
	for (size_t i = 0; i < table->nr_cells; i++) {
		unsigned int column = (unsigned int)(i % table->nr_columns);

		widths[column] =
			MAX(widths[column], text_width(table->cells[i]));
	}
}

/* A line under way, which ends at a width. */
struct line {
	FILE *file;
	unsigned int column;
	unsigned int max_width; /* 0: none */
};

static bool is_full(const struct line *line)
{
	return line->max_width && line->column >= line->max_width;
}

static void put_spaces(struct line *line, unsigned int nr)
{
	for (; nr && !is_full(line); nr--, line->column++)
		fputc(' ', line->file);
}

static void put_text(struct line *line, const char *text)
{
	for (; *text; text++) {
		bool begins = ((uint8_t)*text & 0xc0) != 0x80;

		if (begins && is_full(line))
			return;
		line->column += begins;
		fputc(*text, line->file);
	}
}

/* get: the cell of a column; no space stands behind the last one. */
static void print_row(const struct table *table, const unsigned int *widths,
		      char *const *cells, struct line line)
{
	for (unsigned int i = 0; i < table->nr_columns; i++) {
		const char *text = cells ? cells[i] : table->columns[i].title;
		unsigned int rest = widths[i] - text_width(text);
		bool is_last = i + 1 == table->nr_columns;

		put_spaces(&line, table->columns[i].right ? rest : 0);
		put_text(&line, text);
		if (!is_last)
			put_spaces(&line,
				   GAP + (table->columns[i].right ? 0 : rest));
	}
	fputc('\n', line.file);
}

int table_print(const struct table *table, FILE *file, unsigned int max_width,
		size_t max_rows)
{
	const struct line line = { .file = file, .max_width = max_width };
	size_t nr_rows = table->nr_cells / table->nr_columns;
	unsigned int widths[TABLE_MAX_COLUMNS];

	if (table->failed)
		return -ENOMEM;
	measure(table, widths);
	print_row(table, widths, NULL, line);
	if (max_rows)
		nr_rows = MIN(nr_rows, max_rows);
	for (size_t i = 0; i < nr_rows; i++)
		print_row(table, widths, table->cells + i * table->nr_columns,
			  line);
	return 0;
}
