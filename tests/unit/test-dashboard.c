/* SPDX-License-Identifier: MIT */
/*
 * dashboard - docs/grafana-dashboard.json shows what the daemon tells
 *
 * DASHBOARD in the environment is that file.
 */
#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/metrics/report.h"

static char *told; /* a report with one export */

static int make_report(void **state)
{
	static const struct report_process process = { 0 };
	struct report_queue queue = { .iothread = "io0" };
	const struct report_export export = {
		.id = "disk0", .node = "n0", .nr_queues = 1, .queues = &queue
	};
	size_t nr_bytes;

	(void)state;
	return report_write(&export, 1, &process, &told, &nr_bytes);
}

static int free_report(void **state)
{
	(void)state;
	free(told);
	return 0;
}

/* A sample of this very name. */
static bool is_told(const char *name, size_t nr)
{
	const char *line = told;

	for (; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (!strncmp(line, name, nr) &&
		    (line[nr] == '{' || line[nr] == ' '))
			return true;
	}
	return false;
}

static bool belongs_to_name(char character)
{
	return isalnum((unsigned char)character) || character == '_';
}

/* Returns how many metrics a query names, each of which has to be told. */
static unsigned int check_query(const char *query)
{
	static const char *const ours[] = { "ringhost_", "process_" };
	unsigned int nr_names = 0;

	for (const char *at = query; *at; at++) {
		if (at > query && belongs_to_name(at[-1]))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
			size_t nr = 0;

			if (strncmp(at, ours[i], strlen(ours[i])) != 0)
				continue;
			while (belongs_to_name(at[nr]))
				nr++;
			if (!is_told(at, nr))
				fail_msg("nobody tells %.*s, which is in %s",
					 (int)nr, at, query);
			nr_names++;
		}
	}
	return nr_names;
}

/* "expr" of panels, "query" of variables, wherever they are. */
static unsigned int check_all(json_t *value)
{
	unsigned int nr_names = 0;
	const char *key;
	json_t *inner;
	size_t i;

	json_array_foreach(value, i, inner) nr_names += check_all(inner);
	json_object_foreach(value, key, inner)
	{
		bool query = !strcmp(key, "expr") || !strcmp(key, "query");

		if (query && json_is_string(inner))
			nr_names += check_query(json_string_value(inner));
		nr_names += check_all(inner);
	}
	return nr_names;
}

static json_t *load(void)
{
	json_error_t error;
	json_t *dashboard = json_load_file(getenv("DASHBOARD"),
					   JSON_REJECT_DUPLICATES, &error);

	if (!dashboard)
		fail_msg("line %d: %s", error.line, error.text);
	return dashboard;
}

static void each_metric_of_the_dashboard_is_told(void **state)
{
	json_t *dashboard = load();

	(void)state;
	assert_true(check_all(dashboard) > 20);
	json_decref(dashboard);
}

static void each_panel_has_a_place_a_title_and_a_query(void **state)
{
	json_t *dashboard = load();
	json_t *panels = json_object_get(dashboard, "panels");
	json_t *panel;
	size_t i;

	(void)state;
	assert_true(json_array_size(panels) > 5);
	json_array_foreach(panels, i, panel)
	{
		json_t *targets = json_object_get(panel, "targets");

		assert_true(json_is_object(json_object_get(panel, "gridPos")));
		assert_true(json_string_length(
				    json_object_get(panel, "title")) > 0);
		assert_true(json_string_length(json_object_get(
				    json_array_get(targets, 0), "expr")) > 0);
	}
	json_decref(dashboard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_metric_of_the_dashboard_is_told),
		cmocka_unit_test(each_panel_has_a_place_a_title_and_a_query),
	};

	return cmocka_run_group_tests_name("dashboard", tests, make_report,
					   free_report);
}
