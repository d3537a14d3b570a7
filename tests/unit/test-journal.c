/* SPDX-License-Identifier: MIT */
/* journal - what there is, as the commands that would make it again */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/journal.h"

static void note(struct journal *journal, const char *command,
		 const char *arguments)
{
	json_t *object = json_loads(arguments, 0, NULL);

	assert_non_null(object);
	assert_int_equal(journal_note(journal, command, object, true), 0);
	json_decref(object);
}

/* expected: the commands with their arguments, each in brackets. */
static void expect(const struct journal *journal, const char *expected)
{
	json_t *commands = journal_commands(journal);
	json_t *list = json_array();
	json_t *wanted = json_loads(expected, 0, NULL);
	json_t *command;
	size_t i;

	assert_non_null(wanted);
	json_array_foreach(commands, i, command)
	{
		json_t *pair = json_array();

		assert_true(json_is_true(json_object_get(command, "x-typed")));
		json_array_append(pair, json_object_get(command, "execute"));
		json_array_append(pair, json_object_get(command, "arguments"));
		json_array_append_new(list, pair);
	}
	if (!json_equal(list, wanted))
		fail_msg("%s", json_dumps(list, 0));
	json_decref(commands);
	json_decref(list);
	json_decref(wanted);
}

static void begin(struct journal *journal)
{
	journal_init(journal);
	note(journal, "object-add",
	     "{\"qom-type\": \"iothread\", \"id\": \"a\"}");
	note(journal, "blockdev-add", "{\"node-name\": \"a\"}");
	note(journal, "block-export-add",
	     "{\"id\": \"a\", \"iothread\": \"t0\"}");
}

#define OBJECT "[\"object-add\", {\"qom-type\": \"iothread\", \"id\": \"a\"}]"
#define NODE   "[\"blockdev-add\", {\"node-name\": \"a\"}]"
#define EXPORT "[\"block-export-add\", {\"id\": \"a\", \"iothread\": \"t0\"}]"

static void it_has_what_was_made_in_its_order(void **state)
{
	struct journal journal;

	(void)state;
	begin(&journal);
	expect(&journal, "[" OBJECT "," NODE "," EXPORT "]");
	journal_deinit(&journal);
}

/* The same name stands for three things. */
static void what_is_removed_goes_and_nothing_else(void **state)
{
	struct journal journal;
	uint64_t generation;

	(void)state;
	begin(&journal);
	generation = journal.generation;
	note(&journal, "blockdev-del", "{\"node-name\": \"a\"}");
	expect(&journal, "[" OBJECT "," EXPORT "]");
	assert_true(journal.generation != generation);
	note(&journal, "block-export-del", "{\"id\": \"b\"}");
	expect(&journal, "[" OBJECT "," EXPORT "]");
	note(&journal, "block-export-del", "{\"id\": \"a\"}");
	note(&journal, "object-del", "{\"id\": \"a\"}");
	expect(&journal, "[]");
	journal_deinit(&journal);
}

static void the_last_change_of_a_kind_counts(void **state)
{
	struct journal journal;

	(void)state;
	begin(&journal);
	note(&journal, "x-export-limit", "{\"id\": \"a\", \"n\": 1}");
	note(&journal, "qom-set",
	     "{\"path\": \"/objects/a\", \"property\": \"p\", \"value\": 1}");
	note(&journal, "qom-set",
	     "{\"path\": \"a\", \"property\": \"q\", \"value\": 1}");
	note(&journal, "x-export-limit", "{\"id\": \"a\", \"n\": 2}");
	note(&journal, "qom-set",
	     "{\"path\": \"a\", \"property\": \"p\", \"value\": 2}");
	expect(&journal,
	       "[" OBJECT "," NODE "," EXPORT ","
	       "[\"qom-set\","
	       " {\"path\": \"a\", \"property\": \"q\", \"value\": 1}],"
	       "[\"x-export-limit\", {\"id\": \"a\", \"n\": 2}],"
	       "[\"qom-set\","
	       " {\"path\": \"a\", \"property\": \"p\", \"value\": 2}]]");
	note(&journal, "object-del", "{\"id\": \"a\"}");
	expect(&journal, "[" NODE "," EXPORT ","
			 "[\"x-export-limit\", {\"id\": \"a\", \"n\": 2}]]");
	journal_deinit(&journal);
}

/* The I/O thread that it was made on can go then. */
static void a_move_of_all_queues_is_as_if_it_had_been_made_there(void **state)
{
	struct journal journal;

	(void)state;
	begin(&journal);
	note(&journal, "x-export-move",
	     "{\"id\": \"a\", \"queue\": 1, \"iothread\": \"t1\"}");
	note(&journal, "x-export-move",
	     "{\"id\": \"a\", \"queue\": 0, \"iothread\": \"t1\"}");
	note(&journal, "x-export-move",
	     "{\"id\": \"a\", \"queue\": 1, \"iothread\": \"t2\"}");
	expect(&journal,
	       "[" OBJECT "," NODE "," EXPORT ","
	       "[\"x-export-move\","
	       " {\"id\": \"a\", \"queue\": 0, \"iothread\": \"t1\"}],"
	       "[\"x-export-move\","
	       " {\"id\": \"a\", \"queue\": 1, \"iothread\": \"t2\"}]]");
	note(&journal, "x-export-move",
	     "{\"id\": \"a\", \"iothread\": [\"t1\", \"t2\"]}");
	expect(&journal, "[" OBJECT "," NODE ", [\"block-export-add\","
			 " {\"id\": \"a\", \"iothread\": [\"t1\", \"t2\"]}]]");
	journal_deinit(&journal);
}

static void only_what_lasts_is_kept(void **state)
{
	struct journal journal;
	json_t *a = json_pack("{s:s}", "id", "a");
	json_t *b = json_pack("{s:s}", "id", "b");

	(void)state;
	begin(&journal);
	assert_false(journal_keeps("query-block-exports"));
	assert_true(journal_keeps("blockdev-del"));
	note(&journal, "query-block-exports", "{}");
	expect(&journal, "[" OBJECT "," NODE "," EXPORT "]");
	assert_true(journal_has(&journal, "block-export-add", a));
	assert_false(journal_has(&journal, "block-export-add", b));
	assert_false(journal_has(&journal, "block-export-del", a));
	assert_false(journal_has(&journal, "blockdev-add", a));
	json_decref(a);
	json_decref(b);
	journal_deinit(&journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_what_was_made_in_its_order),
		cmocka_unit_test(what_is_removed_goes_and_nothing_else),
		cmocka_unit_test(the_last_change_of_a_kind_counts),
		cmocka_unit_test(
			a_move_of_all_queues_is_as_if_it_had_been_made_there),
		cmocka_unit_test(only_what_lasts_is_kept),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
