/* SPDX-License-Identifier: MIT */
/*
 * exposition - the text format in which Prometheus reads metrics
 *
 * Version 0.0.4 of the format. Where a label's value is no UTF-8, which the
 * format wants, a question mark stands for each byte that is to blame.
 */
#include "server/metrics/exposition.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/nsec.h"
#include "common/utf8.h"

int exposition_begin(struct exposition *exposition)
{
	*exposition = (struct exposition){ .name = "" };
	exposition->file =
		open_memstream(&exposition->text, &exposition->nr_bytes);
	return exposition->file ? 0 : -ENOMEM;
}

static bool ends_with(const char *text, const char *end)
{
	size_t nr = strlen(text);
	size_t nr_end = strlen(end);

	return nr > nr_end && !strcmp(text + nr - nr_end, end);
}

void exposition_family(struct exposition *exposition, const char *name,
		       enum exposition_type type, const char *help)
{
	static const char *const types[] = {
		[EXPOSITION_COUNTER] = "counter",
		[EXPOSITION_GAUGE] = "gauge",
		[EXPOSITION_HISTOGRAM] = "histogram",
	};

	assert((type == EXPOSITION_COUNTER) == ends_with(name, "_total"));
	assert(!strpbrk(help, "\\\n"));
	exposition->name = name;
	fprintf(exposition->file, "# HELP %s %s\n# TYPE %s %s\n", name, help,
		name, types[type]);
}

void exposition_sample(struct exposition *exposition, const char *suffix)
{
	fprintf(exposition->file, "%s%s", exposition->name, suffix);
	exposition->labelled = false;
}

static void begin_label(struct exposition *exposition, const char *name)
{
	fprintf(exposition->file, "%s%s=\"", exposition->labelled ? "," : "{",
		name);
	exposition->labelled = true;
}

static void put_character(FILE *file, const char *character, size_t nr)
{
	switch (nr ? character[0] : '?') {
	case '\\':
		fputs("\\\\", file);
		break;
	case '"':
		fputs("\\\"", file);
		break;
	case '\n':
		fputs("\\n", file);
		break;
	default:
		fwrite(nr ? character : "?", 1, MAX(nr, (size_t)1), file);
	}
}

void exposition_label(struct exposition *exposition, const char *name,
		      const char *value)
{
	begin_label(exposition, name);
	while (*value) {
		size_t nr = rh_utf8_length(value);

		put_character(exposition->file, value, nr);
		value += MAX(nr, (size_t)1);
	}
	fputc('"', exposition->file);
}

void exposition_label_number(struct exposition *exposition, const char *name,
			     uint64_t value)
{
	begin_label(exposition, name);
	fprintf(exposition->file, "%" PRIu64 "\"", value);
}

static const char *end_of_labels(const struct exposition *exposition)
{
	return exposition->labelled ? "} " : " ";
}

void exposition_number(struct exposition *exposition, uint64_t value)
{
	fprintf(exposition->file, "%s%" PRIu64 "\n", end_of_labels(exposition),
		value);
}

void exposition_seconds(struct exposition *exposition, uint64_t nsec)
{
	fprintf(exposition->file, "%s%" PRIu64 ".%09" PRIu64 "\n",
		end_of_labels(exposition), nsec / NSEC_PER_SEC,
		nsec % NSEC_PER_SEC);
}

int exposition_end(struct exposition *exposition, char **text, size_t *nr_bytes)
{
	bool failed = ferror(exposition->file);

	failed |= fclose(exposition->file) != 0;
	if (failed) {
		free(exposition->text);
		return -ENOMEM;
	}
	*text = exposition->text;
	*nr_bytes = exposition->nr_bytes;
	return 0;
}
