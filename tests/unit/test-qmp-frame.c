/* SPDX-License-Identifier: MIT */
/* frame - a stream of bytes is cut into JSON texts, however it comes */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/qmp/frame.h"

static void feed(struct qmp_frame *frame, const char *bytes, size_t nr)
{
	while (nr) {
		size_t room;
		char *place = qmp_frame_room(frame, &room);

		assert_non_null(place);
		assert_true(room > 0);
		room = room < nr ? room : nr;
		memcpy(place, bytes, room);
		qmp_frame_added(frame, room);
		bytes += room;
		nr -= room;
	}
}

static void feed_text(struct qmp_frame *frame, const char *text)
{
	feed(frame, text, strlen(text));
}

static void expect_text(struct qmp_frame *frame, const char *expected)
{
	const char *text;
	size_t nr;

	assert_int_equal(qmp_frame_next(frame, &text, &nr), 1);
	assert_int_equal(nr, strlen(expected));
	assert_memory_equal(text, expected, nr);
}

static void expect_outcome(struct qmp_frame *frame, int outcome)
{
	const char *text;
	size_t nr;

	assert_int_equal(qmp_frame_next(frame, &text, &nr), outcome);
}

static const char stream[] =
	" {\"a\": 1}{\"b\": [\"}\", \"\\\"]\", {}]}\r\n\t[1]";

static void expect_stream(struct qmp_frame *frame)
{
	expect_text(frame, "{\"a\": 1}");
	expect_text(frame, "{\"b\": [\"}\", \"\\\"]\", {}]}");
	expect_text(frame, "[1]");
	expect_outcome(frame, 0);
}

static void texts_end_where_their_brackets_do(void **state)
{
	struct qmp_frame frame = { 0 };

	(void)state;
	feed(&frame, stream, strlen(stream));
	expect_stream(&frame);
	qmp_frame_deinit(&frame);
}

static void pieces_of_any_size_make_the_same_texts(void **state)
{
	struct qmp_frame frame = { 0 };
	unsigned int nr_texts = 0;
	const char *text;
	size_t nr;

	(void)state;
	for (size_t i = 0; i < strlen(stream); i++) {
		feed(&frame, &stream[i], 1);
		if (qmp_frame_next(&frame, &text, &nr) == 1)
			nr_texts++;
	}
	assert_int_equal(nr_texts, 3);
	qmp_frame_deinit(&frame);
}

static void what_is_no_json_is_told_once_and_skipped(void **state)
{
	struct qmp_frame frame = { 0 };

	(void)state;
	feed_text(&frame, "nonsense 12 \"x\"\n{}}\n{}");
	expect_outcome(&frame, -EPROTO);
	expect_text(&frame, "{}");
	expect_outcome(&frame, -EPROTO);
	expect_text(&frame, "{}");
	expect_outcome(&frame, 0);
	qmp_frame_deinit(&frame);
}

static void nesting_has_a_bound(void **state)
{
	struct qmp_frame frame = { 0 };

	(void)state;
	for (unsigned int i = 0; i < QMP_FRAME_MAX_DEPTH; i++)
		feed(&frame, "[", 1);
	expect_outcome(&frame, 0);
	feed(&frame, "[", 1);
	expect_outcome(&frame, -EMSGSIZE);
	qmp_frame_deinit(&frame);
}

static void a_text_has_a_bound(void **state)
{
	struct qmp_frame frame = { 0 };
	char *blanks = malloc(QMP_FRAME_MAX_BYTES);

	(void)state;
	memset(blanks, ' ', QMP_FRAME_MAX_BYTES);
	feed(&frame, "{", 1);
	feed(&frame, blanks, QMP_FRAME_MAX_BYTES - 1);
	expect_outcome(&frame, 0);
	feed(&frame, " ", 1);
	expect_outcome(&frame, -EMSGSIZE);
	qmp_frame_deinit(&frame);
	free(blanks);
}

static void what_is_skipped_is_not_kept(void **state)
{
	struct qmp_frame frame = { 0 };
	char *blanks = malloc(QMP_FRAME_MAX_BYTES);

	(void)state;
	memset(blanks, ' ', QMP_FRAME_MAX_BYTES);
	for (unsigned int i = 0; i < 8; i++) {
		feed(&frame, blanks, QMP_FRAME_MAX_BYTES);
		expect_outcome(&frame, 0);
	}
	assert_true(frame.capacity <= 4 * QMP_FRAME_MAX_BYTES);
	feed(&frame, "{}", 2);
	expect_text(&frame, "{}");
	qmp_frame_deinit(&frame);
	free(blanks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_end_where_their_brackets_do),
		cmocka_unit_test(pieces_of_any_size_make_the_same_texts),
		cmocka_unit_test(what_is_no_json_is_told_once_and_skipped),
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(a_text_has_a_bound),
		cmocka_unit_test(what_is_skipped_is_not_kept),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
