/* SPDX-License-Identifier: MIT */
/* list - order, removal, and what is harmless */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/list.h"

struct member {
	int value;
	struct list_node node;
};

static int value_of(struct list_node *node)
{
	return container_of(node, struct member, node)->value;
}

static void fill(struct list_node *list, struct member *members, int nr)
{
	list_init(list);
	for (int i = 0; i < nr; i++) {
		members[i].value = i;
		list_init(&members[i].node);
		list_append(list, &members[i].node);
	}
}

static void a_new_list_is_empty(void **state)
{
	struct list_node list;

	(void)state;
	list_init(&list);
	assert_true(list_empty(&list));
	assert_null(list_take_first(&list));
	list_for_each(node, &list)
		fail();
}

static void members_come_in_the_order_of_appending(void **state)
{
	struct member members[3];
	struct list_node list;
	int expected = 0;

	(void)state;
	fill(&list, members, 3);
	assert_false(list_empty(&list));
	list_for_each(node, &list)
		assert_int_equal(value_of(node), expected++);
	assert_int_equal(expected, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(value_of(list_take_first(&list)), i);
	assert_true(list_empty(&list));
}

static void a_removed_member_is_gone_and_may_be_removed_again(void **state)
{
	struct member members[3];
	struct list_node list;

	(void)state;
	fill(&list, members, 3);
	list_remove(&members[1].node);
	list_remove(&members[1].node);
	assert_true(list_empty(&members[1].node));
	assert_int_equal(value_of(list_take_first(&list)), 0);
	assert_int_equal(value_of(list_take_first(&list)), 2);
	assert_null(list_take_first(&list));
}

static void a_member_may_be_removed_while_the_list_is_walked(void **state)
{
	struct member members[5];
	struct list_node list;
	int nr_seen = 0;

	(void)state;
	fill(&list, members, 5);
	list_for_each(node, &list) {
		nr_seen++;
		if (value_of(node) % 2 == 0)
			list_remove(node);
	}
	assert_int_equal(nr_seen, 5);
	assert_int_equal(value_of(list_take_first(&list)), 1);
	assert_int_equal(value_of(list_take_first(&list)), 3);
	assert_null(list_take_first(&list));
}

static void a_member_may_move_to_another_list(void **state)
{
	struct member members[2];
	struct list_node list;
	struct list_node other;

	(void)state;
	fill(&list, members, 2);
	list_init(&other);
	list_append(&other, list_take_first(&list));
	assert_int_equal(value_of(list_take_first(&list)), 1);
	assert_int_equal(value_of(list_take_first(&other)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_list_is_empty),
		cmocka_unit_test(members_come_in_the_order_of_appending),
		cmocka_unit_test(
			a_removed_member_is_gone_and_may_be_removed_again),
		cmocka_unit_test(
			a_member_may_be_removed_while_the_list_is_walked),
		cmocka_unit_test(a_member_may_move_to_another_list),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
