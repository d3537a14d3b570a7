/* SPDX-License-Identifier: MIT */
/* exposed - checks a text of metrics against the format's rules */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/exposed.h"

#define MAX_LINES 4096

struct exposed {
	char name[128]; /* of the family at hand */
	char type[16];
	bool has_type;
	char *series[MAX_LINES]; /* name and labels of each sample */
	unsigned int nr_series;
	char *families[MAX_LINES];
	unsigned int nr_families;
	double last_bucket; /* of the histogram at hand */
};

static bool is_name(const char *name, size_t nr)
{
	if (!nr || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < nr; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	}
	return true;
}

/* Returns what follows the labels, or NULL. */
static const char *skip_labels(const char *at)
{
	if (*at != '{')
		return at;
	do {
		size_t nr = strcspn(++at, "=");

		if (!is_name(at, nr) || strncmp(at + nr, "=\"", 2) != 0)
			return NULL;
		for (at += nr + 2; *at != '"'; at++) {
			if (!*at || (*at == '\\' && !strchr("\\\"n", *++at)))
				return NULL;
		}
		at++;
	} while (*at == ',');
	return *at == '}' ? at + 1 : NULL;
}

static bool comes_twice(char *const *list, unsigned int nr, const char *text)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!strcmp(list[i], text))
			return true;
	}
	return false;
}

static const char *find_suffix(const struct exposed *exposed,
			       const char *sample, size_t nr)
{
	size_t nr_name = strlen(exposed->name);

	if (nr < nr_name || strncmp(sample, exposed->name, nr_name) != 0)
		return NULL;
	return sample + nr_name;
}

static const char *check_histogram(struct exposed *exposed, const char *suffix,
				   const char *labels, double value)
{
	if (!strncmp(suffix, "_bucket", 7)) {
		if (!strstr(labels, "le=\""))
			return "a bucket without a bound";
		if (value < exposed->last_bucket)
			return "a bucket below the one before";
		exposed->last_bucket = value;
		return NULL;
	}
	if (!strncmp(suffix, "_sum", 4))
		return NULL;
	if (strncmp(suffix, "_count", 6) != 0)
		return "a histogram's sample of no known kind";
	if (value != exposed->last_bucket)
		return "a count that is not the last bucket";
	exposed->last_bucket = 0;
	return NULL;
}

static const char *check_sample(struct exposed *exposed, const char *line)
{
	size_t nr = strcspn(line, "{ ");
	const char *suffix = find_suffix(exposed, line, nr);
	const char *value = skip_labels(line + nr);
	char *end;
	char *series;
	double number;

	if (!is_name(line, nr))
		return "no name";
	if (!suffix || !exposed->has_type)
		return "a sample outside its family";
	if (!value || *value != ' ')
		return "labels that are none";
	number = strtod(value + 1, &end);
	if (end == value + 1 || *end)
		return "a value that is none";
	series = strndup(line, (size_t)(value - line));
	if (comes_twice(exposed->series, exposed->nr_series, series)) {
		free(series);
		return "a sample that comes twice";
	}
	exposed->series[exposed->nr_series++] = series;
	if (!strcmp(exposed->type, "histogram"))
		return check_histogram(exposed, suffix, line + nr, number);
	return suffix == line + nr ? NULL : "a sample of another name";
}

static const char *check_comment(struct exposed *exposed, const char *line)
{
	char name[128];
	char type[16];

	if (sscanf(line, "# HELP %127s %*c", name) == 1) {
		if (comes_twice(exposed->families, exposed->nr_families, name))
			return "a family that comes twice";
		exposed->families[exposed->nr_families++] = strdup(name);
		strcpy(exposed->name, name);
		exposed->has_type = false;
		exposed->last_bucket = 0;
		return NULL;
	}
	if (sscanf(line, "# TYPE %127s %15s", name, type) != 2 ||
	    strcmp(name, exposed->name) != 0)
		return "a comment that is no HELP and no TYPE of it";
	strcpy(exposed->type, type);
	exposed->has_type = true;
	if (!strcmp(type, "counter") !=
	    (strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total")))
		return "a counter and _total do not go together";
	return NULL;
}

const char *exposed_check(char *text, char why[EXPOSED_WHY_BYTES])
{
	struct exposed *exposed = calloc(1, sizeof(*exposed));
	const char *wrong = NULL;
	char *save = NULL;

	why[0] = '\0';
	if (!text[0] || text[strlen(text) - 1] != '\n')
		wrong = "no line at the end";
	for (char *line = strtok_r(text, "\n", &save); line && !wrong;
	     line = strtok_r(NULL, "\n", &save)) {
		wrong = line[0] == '#' ? check_comment(exposed, line) :
					 check_sample(exposed, line);
		if (wrong)
			snprintf(why, EXPOSED_WHY_BYTES, "%s: %s", wrong, line);
	}
	for (unsigned int i = 0; i < exposed->nr_series; i++)
		free(exposed->series[i]);
	for (unsigned int i = 0; i < exposed->nr_families; i++)
		free(exposed->families[i]);
	free(exposed);
	return wrong;
}
