/* SPDX-License-Identifier: MIT */
/* ctl-text - what a terminal may be sent, and numbers as people read them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/table.h"
#include "ctl/text.h"

static void escapes_to(const char *text, const char *expected)
{
	char *escaped = text_escape(text);

	assert_string_equal(escaped, expected);
	free(escaped);
}

static void what_a_terminal_obeys_is_escaped(void **state)
{
	(void)state;
	escapes_to("disk-0.img", "disk-0.img");
	escapes_to("a\033[2Jb", "a\\x1b[2Jb");
	escapes_to("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f");
	escapes_to("\xc2\x9b"
		   "31m",
		   "\\x9b31m"); /* one control of 8 bits */
	escapes_to("a\\x1b", "a\\\\x1b");
	escapes_to("a\xe2\x80\xae"
		   "b",
		   "a\\u202eb"); /* right to left */
	escapes_to("a\xe2\x81\xa6\xef\xbb\xbf", "a\\u2066\\ufeff");
}

static void letters_of_all_languages_stay(void **state)
{
	(void)state;
	escapes_to("Gr\xc3\xb6\xc3\x9f"
		   "e \xe2\x82\xac \xf0\x9f\x92\xbe",
		   "Gr\xc3\xb6\xc3\x9f"
		   "e \xe2\x82\xac \xf0\x9f\x92\xbe");
	assert_int_equal(text_width("\xc3\xb6\xe2\x82\xac\xf0\x9f\x92\xbe-"),
			 4);
}

static void bytes_that_are_no_utf8_are_escaped(void **state)
{
	(void)state;
	escapes_to("a\xff", "a\\xff");
	escapes_to("a\xc3", "a\\xc3");
	escapes_to("\xc0\x9b"
		   "31m",
		   "\\xc0\\x9b31m"); /* not the shortest */
	escapes_to("\xe2\x80", "\\xe2\\x80");
	assert_true(text_is_utf8("a\xc3\xb6"));
	assert_false(text_is_utf8("a\xc3"));
	assert_false(text_is_utf8("\xed\xa0\x80")); /* half a pair of UTF-16 */
	assert_false(text_is_utf8("\xf7\xbf\xbf\xbf"));
}

static void xml_gets_no_markup_from_a_name(void **state)
{
	char *xml = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&xml, &nr_bytes);

	(void)state;
	text_print_xml(file, "a'/><b>&\"\\\n");
	fclose(file);
	assert_string_equal(xml, "a&apos;/&gt;&lt;b&gt;&amp;&quot;\\\\x0a");
	free(xml);
}

static void counts_have_three_digits(void **state)
{
	(void)state;
	assert_string_equal(text_count(0).text, "0");
	assert_string_equal(text_count(7).text, "7");
	assert_string_equal(text_count(999).text, "999");
	assert_string_equal(text_count(999.4).text, "999");
	assert_string_equal(text_count(999.6).text, "1.00k");
	assert_string_equal(text_count(1234).text, "1.23k");
	assert_string_equal(text_count(45678).text, "45.7k");
	assert_string_equal(text_count(99960).text, "100k");
	assert_string_equal(text_count(999600).text, "1.00M");
	assert_string_equal(text_count(0.25).text, "0.25");
	assert_string_equal(text_count(-1).text, "0");
	assert_string_equal(text_count(0.0 / 0.0).text, "0");
	assert_string_equal(text_count(1e30).text, "1000000000000E");
}

static void bytes_go_by_1024(void **state)
{
	(void)state;
	assert_string_equal(text_bytes(512).text, "512");
	assert_string_equal(text_bytes(1023).text, "1023");
	assert_string_equal(text_bytes(1024).text, "1.00Ki");
	assert_string_equal(text_bytes(1.5 * 1024 * 1024).text, "1.50Mi");
	assert_string_equal(text_bytes(23.4 * (1 << 30)).text, "23.4Gi");
	assert_string_equal(text_bytes(1023.9 * 1024).text, "1.00Mi");
}

static void times_have_a_unit_that_fits(void **state)
{
	(void)state;
	assert_string_equal(text_nsec(0).text, "0ns");
	assert_string_equal(text_nsec(850).text, "850ns");
	assert_string_equal(text_nsec(12300).text, "12.3us");
	assert_string_equal(text_nsec(1200000).text, "1.20ms");
	assert_string_equal(text_nsec(3100000000).text, "3.10s");
	assert_string_equal(text_nsec(3600000000000).text, "3600s");
}

static void prints(const struct table *table, unsigned int width, size_t rows,
		   const char *expected)
{
	char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	assert_int_equal(table_print(table, file, width, rows), 0);
	fclose(file);
	assert_string_equal(text, expected);
	free(text);
}

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
	static const struct table_column columns[] = { { "ID" },
						       { "IOPS", true },
						       { "NOTE" } };
	struct table table = { .columns = columns, .nr_columns = 3 };

	(void)state;
	prints(&table, 0, 0, "ID  IOPS  NOTE\n");
	table_add(&table, "%s", "disk0");
	table_add(&table, "%u", 5u);
	table_add(&table, "-");
	table_add(&table, "\xc3\xb6");
	table_add(&table, "%u", 123456u);
	table_add(&table, "a\nb");
	prints(&table, 0, 0,
	       "ID       IOPS  NOTE\n"
	       "disk0       5  -\n"
	       "\xc3\xb6      123456  a\\x0ab\n");
	prints(&table, 8, 1,
	       "ID      \n"
	       "disk0   \n");
	prints(&table, 1, 2, "I\nd\n\xc3\xb6\n");
	table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_obeys_is_escaped),
		cmocka_unit_test(letters_of_all_languages_stay),
		cmocka_unit_test(bytes_that_are_no_utf8_are_escaped),
		cmocka_unit_test(xml_gets_no_markup_from_a_name),
		cmocka_unit_test(counts_have_three_digits),
		cmocka_unit_test(bytes_go_by_1024),
		cmocka_unit_test(times_have_a_unit_that_fits),
		cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
	};

	return cmocka_run_group_tests_name("ctl-text", tests, NULL, NULL);
}
