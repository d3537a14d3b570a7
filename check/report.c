/* SPDX-License-Identifier: MIT */
/*
 * report - what came of the cases, for people (text) and machines (TAP, JUnit)
 */
#include "check/report.h"

#include <inttypes.h>
#include <string.h>

#include <ringhost/version.h>

#include "check/groups.h"
#include "check/select.h"
#include "common/base.h"

#define WIDTH 78

/* Words, broken into lines that begin with indent blanks. */
static void print_wrapped(FILE *file, const char *label, const char *text)
{
	int indent = 8 + (int)strlen(label);
	int column = fprintf(file, "        %s", label);
	size_t length;

	while (*text) {
		length = strcspn(text, " ");
		if (column + 1 + (int)length > WIDTH && column > indent)
			column = fprintf(file, "\n%*s", indent, "") - 1;
		column += fprintf(file, "%s%.*s", column > indent ? " " : "",
				  (int)length, text);
		text += length + strspn(text + length, " ");
	}
	fputc('\n', file);
}

static void begin_text(const struct report *report)
{
	const struct target *target = report->target;

	fprintf(report->file, "ringhost check %s on %s", rh_version(),
		target->socket);
	if (target->pid)
		fprintf(report->file, ", process %d", target->pid);
	fprintf(report->file,
		"\nA disk of %" PRIu64
		" MiB in blocks of %u bytes, %s, up to %" PRIu64 " queues.\n",
		target->nr_sectors >> 11, target->block_bytes,
		target->read_only ? "read-only" : "writable",
		target->nr_queues);
	if (!target->read_only)
		fprintf(report->file,
			"What is written lies in its last %u KiB; they are put "
			"back after each case.\n",
			target->scratch_bytes >> 10);
}

static void print_group(struct report *report, const struct check_group *group)
{
	if (group == report->group)
		return;
	report->group = group;
	fprintf(report->file, "\n%s: %s\n", group->name, group->title);
}

/* Cases for --hostile without it; a line for each would hide the others. */
static bool is_left_out(const struct report *report,
			const struct check_result *result)
{
	return result->outcome == CHECK_SKIPPED && !report->hostile &&
	       result->test->flags & CHECK_HOSTILE;
}

static void text_case(struct report *report, const struct check_result *result)
{
	const struct check_case *test = result->test;

	if (result->outcome == CHECK_NOT_RUN)
		return;
	if (is_left_out(report, result))
		return;
	print_group(report, result->group);
	switch (result->outcome) {
	case CHECK_PASSED:
		fprintf(report->file, "  ok    %s\n", test->name);
		break;
	case CHECK_SKIPPED:
		fprintf(report->file, "  skip  %s\n", test->name);
		print_wrapped(report->file, "because ", result->text);
		break;
	default:
		fprintf(report->file, "  FAIL  %s\n", test->name);
		print_wrapped(report->file, "section:  ", test->section);
		print_wrapped(report->file, "expected: ", test->promise);
		print_wrapped(report->file, "seen:     ", result->text);
		break;
	}
}

static void text_end(const struct report *report,
		     const struct check_results *results)
{
	size_t nr_hostile = 0;
	size_t nr_lost = 0;

	for (size_t i = 0; i < results->nr; i++) {
		nr_lost += results->array[i].lost;
		nr_hostile += is_left_out(report, &results->array[i]);
	}
	fprintf(report->file, "\n%zu passed, %zu failed, %zu skipped",
		results->nr_of[CHECK_PASSED], results->nr_of[CHECK_FAILED],
		results->nr_of[CHECK_SKIPPED]);
	if (results->nr_of[CHECK_NOT_RUN])
		fprintf(report->file, ", %zu not run",
			results->nr_of[CHECK_NOT_RUN]);
	fprintf(report->file, " of %zu cases.\n", results->nr);
	if (nr_hostile)
		fprintf(report->file,
			"Of those skipped, %zu are for --hostile.\n",
			nr_hostile);
	if (nr_lost)
		fprintf(report->file,
			"The back-end died or hung in %zu of them.\n", nr_lost);
	if (results->nr_of[CHECK_NOT_RUN] && nr_lost)
		fprintf(report->file,
			"It did not come back, so the rest was not run: "
			"--restart-cmd=COMMAND starts it anew.\n");
}

/* Text that stays on one line and starts no directive. */
static void print_plain(FILE *file, const char *text)
{
	for (; *text; text++)
		fputc(*text == '#' || *text == '\\' || *text < ' ' ||
				      *text > '~' ?
			      '?' :
			      *text,
		      file);
}

static void tap_case(const struct report *report,
		     const struct check_result *result)
{
	FILE *file = report->file;
	bool failed = result->outcome == CHECK_FAILED;

	fprintf(file, "%sok %zu - %s/%s", failed ? "not " : "", report->nr,
		result->group->name, result->test->name);
	if (result->outcome == CHECK_SKIPPED ||
	    result->outcome == CHECK_NOT_RUN) {
		fputs(" # SKIP ", file);
		print_plain(file, result->text ? result->text :
						 "the run was over before");
	}
	fputc('\n', file);
	if (!failed)
		return;
	fprintf(file, "# section: %s\n# expected: %s\n# seen: ",
		result->test->section, result->test->promise);
	print_plain(file, result->text);
	fputc('\n', file);
}

static void print_xml(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			/* the rest is not allowed, or of unknown encoding */
			fputc(*text < ' ' || *text > '~' ? '?' : *text, file);
		}
	}
}

static void print_attribute(FILE *file, const char *name, const char *value)
{
	fprintf(file, " %s=\"", name);
	print_xml(file, value);
	fputc('"', file);
}

static void junit_case(FILE *file, const struct check_result *result)
{
	fputs("    <testcase", file);
	print_attribute(file, "classname", result->group->name);
	print_attribute(file, "name", result->test->name);
	fprintf(file, " time=\"%.3f\"", result->seconds);
	if (result->outcome == CHECK_PASSED) {
		fputs("/>\n", file);
		return;
	}
	fputs(">\n", file);
	if (result->outcome == CHECK_FAILED) {
		fputs("      <failure", file);
		print_attribute(file, "message", result->text);
		fputs(">expected: ", file);
		print_xml(file, result->test->promise);
		fputs(" (", file);
		print_xml(file, result->test->section);
		fputs(")</failure>\n", file);
	} else {
		fputs("      <skipped", file);
		print_attribute(file, "message",
				result->text ? result->text :
					       "the run was over before");
		fputs("/>\n", file);
	}
	fputs("    </testcase>\n", file);
}

static void junit_suite(FILE *file, const struct check_results *results,
			const struct check_group *group)
{
	size_t nr[CHECK_SKIPPED + 1] = { 0 };
	size_t nr_all = 0;

	for (size_t i = 0; i < results->nr; i++) {
		if (results->array[i].group != group)
			continue;
		nr[results->array[i].outcome]++;
		nr_all++;
	}
	if (!nr_all)
		return;
	fputs("  <testsuite", file);
	print_attribute(file, "name", group->name);
	fprintf(file,
		" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
		"skipped=\"%zu\">\n",
		nr_all, nr[CHECK_FAILED],
		nr[CHECK_SKIPPED] + nr[CHECK_NOT_RUN]);
	for (size_t i = 0; i < results->nr; i++)
		if (results->array[i].group == group)
			junit_case(file, &results->array[i]);
	fputs("  </testsuite>\n", file);
}

static void junit_end(FILE *file, const struct check_results *results)
{
	fprintf(file,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"ringhost check\" tests=\"%zu\" "
		"failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n",
		results->nr, results->nr_of[CHECK_FAILED],
		results->nr_of[CHECK_SKIPPED] + results->nr_of[CHECK_NOT_RUN]);
	for (size_t i = 0; i < check_nr_groups; i++)
		junit_suite(file, results, check_groups[i]);
	fputs("</testsuites>\n", file);
}

void report_begin(struct report *report)
{
	if (report->format == CHECK_FORMAT_TEXT)
		begin_text(report);
}

void report_case(const struct check_result *result, void *opaque)
{
	struct report *report = opaque;

	report->nr++;
	if (report->format == CHECK_FORMAT_TEXT)
		text_case(report, result);
	else if (report->format == CHECK_FORMAT_TAP)
		tap_case(report, result);
	fflush(report->file);
}

void report_end(struct report *report, const struct check_results *results)
{
	if (report->format == CHECK_FORMAT_TEXT)
		text_end(report, results);
	else if (report->format == CHECK_FORMAT_TAP)
		fprintf(report->file, "1..%zu\n", results->nr);
	else
		junit_end(report->file, results);
}

static void list_case(FILE *file, const struct check_group *group,
		      const struct check_case *test)
{
	fprintf(file, "%s/%s%s%s\n", group->name, test->name,
		test->flags & CHECK_HOSTILE ? "  [hostile]" : "",
		test->flags & CHECK_WRITES ? "  [writes]" : "");
	print_wrapped(file, "", test->section);
	print_wrapped(file, "", test->promise);
}

void report_list(FILE *file, const struct check_options *options)
{
	const struct check_group *group;
	const struct check_case *test;

	for (size_t i = 0; i < check_nr_groups; i++) {
		group = check_groups[i];
		for (size_t k = 0; k < group->nr_cases; k++) {
			test = &group->cases[k];
			if (select_fits(options->only, group, test))
				list_case(file, group, test);
		}
	}
}
