/* SPDX-License-Identifier: MIT */
/*
 * exposition - the text format in which Prometheus reads metrics
 *
 * One family after the other, each with its samples right behind it:
 *
 *	exposition_family(&text, "disk_reads_total", EXPOSITION_COUNTER, "...");
 *	exposition_sample(&text, "");
 *	exposition_label(&text, "disk", name);
 *	exposition_number(&text, 7);
 *
 * Values of labels may be any text. A failure is kept, and told at the end.
 *
 * Owner: the caller; one thread.
 */
#ifndef SERVER_METRICS_EXPOSITION_H
#define SERVER_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exposition_type {
	EXPOSITION_COUNTER, /* the name ends in _total */
	EXPOSITION_GAUGE,
	EXPOSITION_HISTOGRAM,
};

struct exposition {
	FILE *file;
	char *text;
	size_t nr_bytes;
	const char *name; /* of the family */
	bool labelled;	  /* the sample at hand */
};

/* Returns 0 or -ENOMEM. */
int exposition_begin(struct exposition *exposition);

/* name and help: constants; help: a sentence of one line. */
void exposition_family(struct exposition *exposition, const char *name,
		       enum exposition_type type, const char *help);

/* suffix: "", or of a histogram "_bucket", "_sum" or "_count". */
void exposition_sample(struct exposition *exposition, const char *suffix);
void exposition_label(struct exposition *exposition, const char *name,
		      const char *value);
void exposition_label_number(struct exposition *exposition, const char *name,
			     uint64_t value);

/* The sample ends with one of these. Seconds are given in nanoseconds. */
void exposition_number(struct exposition *exposition, uint64_t value);
void exposition_seconds(struct exposition *exposition, uint64_t nsec);

/* Returns 0 with *text, which the caller frees; or -ENOMEM. */
int exposition_end(struct exposition *exposition, char **text,
		   size_t *nr_bytes);

#endif
