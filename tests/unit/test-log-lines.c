/* SPDX-License-Identifier: MIT */
/* log-lines - a line of the log is one line, and JSON, whatever is in it */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/log.h"
#include "server/log_lines.h"

static char text[4096];

/* The object, which has to be all of the only line; the caller frees it. */
static json_t *parse_in(const struct log_line *line, size_t room)
{
	json_error_t error;
	json_t *object;

	memset(text, 0x55, sizeof(text));
	log_lines_json(line, text, room);
	assert_true(strlen(text) < room);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		fail_msg("%s: %s", error.text, text);
	return object;
}

static json_t *parse(const struct log_line *line)
{
	return parse_in(line, sizeof(text));
}

static const char *member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void a_line_has_time_level_tag_and_message(void **state)
{
	json_t *object = parse(&(struct log_line){
		.time_nsec = UINT64_C(1796036523000042999),
		.level = RH_LOG_WARNING,
		.tag = "disk0",
		.text = "it is \"full\"",
	});

	(void)state;
	assert_string_equal(member(object, "time"),
			    "2026-11-30T11:02:03.000042Z");
	assert_string_equal(member(object, "level"), "warning");
	assert_string_equal(member(object, "tag"), "disk0");
	assert_string_equal(member(object, "message"), "it is \"full\"");
	assert_null(json_object_get(object, "suppressed"));
	assert_int_equal(json_object_size(object), 4);
	json_decref(object);
}

static void what_was_left_out_is_counted(void **state)
{
	json_t *object = parse(&(struct log_line){
		.tag = "", .text = "", .nr_suppressed = UINT32_MAX });

	(void)state;
	assert_int_equal(
		json_integer_value(json_object_get(object, "suppressed")),
		UINT32_MAX);
	json_decref(object);
}

/* The C library's calendar is the judge. */
static void dates_are_right(void **state)
{
	static const time_t times[] = { 0,	    951782399,	951782400,
					951868800,  1709164800, 1709251200,
					4107542399, 4107542400, 13574563199 };
	char expected[64];
	struct tm tm;

	(void)state;
	for (time_t day = 0; day < 366 * 140; day++) {
		time_t now = day * 86400 + day % 86400;
		json_t *object = parse(&(struct log_line){
			.time_nsec = (uint64_t)now * 1000000000,
			.tag = "",
			.text = "" });

		gmtime_r(&now, &tm);
		strftime(expected, sizeof(expected),
			 "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
		assert_string_equal(member(object, "time"), expected);
		json_decref(object);
	}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		json_t *object = parse(&(struct log_line){
			.time_nsec = (uint64_t)times[i] * 1000000000,
			.tag = "",
			.text = "" });

		gmtime_r(&times[i], &tm);
		strftime(expected, sizeof(expected),
			 "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
		assert_string_equal(member(object, "time"), expected);
		json_decref(object);
	}
}

static void each_byte_may_be_in_a_line(void **state)
{
	char every[256];

	(void)state;
	for (unsigned int i = 1; i < 256; i++)
		every[i - 1] = (char)i;
	every[255] = '\0';
	json_decref(parse(&(struct log_line){ .tag = every, .text = every }));
	/* each that is no ASCII begins something here and ends nothing */
	assert_non_null(strstr(text, "\\u0001\\u0002"));
	assert_non_null(strstr(text, "\\u000a"));
	assert_non_null(strstr(text, "\\u001f !\\\"#"));
	assert_non_null(strstr(text, "[\\\\]"));
	assert_non_null(strstr(text, "~\\u007f\\ufffd\\ufffd"));
	assert_null(strchr(text, '\x80'));
}

static void what_is_no_character_does_not_take_the_next_one_along(void **state)
{
	json_t *object = parse(&(struct log_line){
		.tag = "\xe2\x82", .text = "\xc3\"},\xf0\x9f\u00e4" });

	(void)state;
	assert_string_equal(member(object, "tag"), "\ufffd\ufffd");
	assert_string_equal(member(object, "message"),
			    "\ufffd\"},\ufffd\ufffd\u00e4");
	json_decref(object);
}

static void a_line_that_is_too_long_is_cut_between_characters(void **state)
{
	static char longest[6000];
	static const char *const parts[] = { "a", "\n", "\u20ac", "\xff",
					     "\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		longest[0] = '\0';
		while (strlen(longest) < sizeof(longest) - 8)
			strcat(longest, parts[i]);
		for (size_t room = LOG_LINES_MIN_BYTES; room < 700; room++)
			json_decref(parse_in(
				&(struct log_line){ .tag = longest,
						    .text = longest,
						    .nr_suppressed =
							    UINT32_MAX },
				room));
		for (size_t room = LOG_LINES_MIN_BYTES; room < 700; room++)
			json_decref(
				parse_in(&(struct log_line){ .tag = "disk0",
							     .text = longest },
					 room));
	}
}

static void only_two_formats_have_names(void **state)
{
	(void)state;
	assert_true(log_lines_set_format("json"));
	assert_true(log_lines_set_format("text"));
	assert_false(log_lines_set_format("xml"));
	assert_false(log_lines_set_format(""));
}

static unsigned int nr_told;

static void note_suppressed(void *opaque, enum rh_log_level level,
			    const char *tag, const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
	nr_told += rh_log_nr_suppressed();
}

static void a_hook_learns_how_many_lines_were_left_out(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	rh_log_set(note_suppressed, NULL, RH_LOG_INFO);
	for (unsigned int i = 0; i < LOG_LIMIT_BURST + 3; i++)
		rh_log_limited(&limit, RH_LOG_INFO, "disk0", "again");
	assert_int_equal(nr_told, 0);
	limit.interval_start_usec -= LOG_LIMIT_INTERVAL_USEC;
	rh_log_limited(&limit, RH_LOG_INFO, "disk0", "again");
	assert_int_equal(nr_told, 3);
	rh_log(RH_LOG_INFO, "disk0", "once");
	assert_int_equal(nr_told, 3);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_tag_and_message),
		cmocka_unit_test(what_was_left_out_is_counted),
		cmocka_unit_test(dates_are_right),
		cmocka_unit_test(each_byte_may_be_in_a_line),
		cmocka_unit_test(
			what_is_no_character_does_not_take_the_next_one_along),
		cmocka_unit_test(
			a_line_that_is_too_long_is_cut_between_characters),
		cmocka_unit_test(only_two_formats_have_names),
		cmocka_unit_test(a_hook_learns_how_many_lines_were_left_out),
	};

	return cmocka_run_group_tests_name("log-lines", tests, NULL, NULL);
}
