/* SPDX-License-Identifier: MIT */
/* base - the idioms do what they say, and evaluate arguments once */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"

struct outer {
	int before;
	struct inner {
		int value;
	} inner;
};

static void container_of_finds_the_whole_from_its_part(void **state)
{
	struct outer outer;

	(void)state;
	assert_ptr_equal(container_of(&outer.inner, struct outer, inner),
			 &outer);
}

static void min_and_max_evaluate_their_arguments_once(void **state)
{
	int a = 1;
	int b = 5;

	(void)state;
	assert_int_equal(MIN(a++, b++), 1);
	assert_int_equal(MAX(a++, b++), 6);
	assert_int_equal(a, 3);
	assert_int_equal(b, 7);
	assert_int_equal(MIN(3, 3), 3);
	assert_int_equal(ARRAY_SIZE(((int[]){ 1, 2, 3 })), 3);
}

static void checked_arithmetic_notices_what_does_not_fit(void **state)
{
	uint64_t result;

	(void)state;
	assert_false(add_overflows(UINT64_MAX - 1, 1, &result));
	assert_true(result == UINT64_MAX);
	assert_true(add_overflows(UINT64_MAX, 1, &result));
	assert_false(mul_overflows(UINT64_MAX / 512, 512, &result));
	assert_true(result == UINT64_MAX - 511);
	assert_true(mul_overflows(UINT64_MAX / 512 + 1, 512, &result));
}

static void zero_is_no_power_of_two(void **state)
{
	(void)state;
	assert_false(is_power_of_2(0));
	assert_true(is_power_of_2(1));
	assert_true(is_power_of_2(512));
	assert_false(is_power_of_2(513));
	assert_true(is_power_of_2(UINT64_C(1) << 63));
	assert_false(is_power_of_2(UINT64_MAX));
}

static void alignment_is_told_and_made(void **state)
{
	(void)state;
	assert_true(is_aligned(0, 16));
	assert_true(is_aligned(32, 16));
	assert_false(is_aligned(24, 16));
	assert_true(align_down(31, 16) == 16);
	assert_true(align_down(32, 16) == 32);
	assert_true(align_down(UINT64_MAX, 4096) == UINT64_MAX - 4095);
}

static void open_and_drop(int *number)
{
	cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	*number = fd;
}

static int open_and_keep(void)
{
	cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return steal_fd(&fd);
}

static void a_cleanup_fd_is_closed_unless_stolen(void **state)
{
	int fd;

	(void)state;
	open_and_drop(&fd);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = open_and_keep();
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static char *copy_and_keep(const char *text)
{
	cleanup_free char *dropped = strdup(text);
	cleanup_free char *kept = strdup(dropped);

	return steal_pointer(&kept);
}

static void a_stolen_pointer_outlives_its_variable(void **state)
{
	char *kept = copy_and_keep("text");

	(void)state;
	assert_string_equal(kept, "text");
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container_of_finds_the_whole_from_its_part),
		cmocka_unit_test(min_and_max_evaluate_their_arguments_once),
		cmocka_unit_test(checked_arithmetic_notices_what_does_not_fit),
		cmocka_unit_test(zero_is_no_power_of_two),
		cmocka_unit_test(alignment_is_told_and_made),
		cmocka_unit_test(a_cleanup_fd_is_closed_unless_stolen),
		cmocka_unit_test(a_stolen_pointer_outlives_its_variable),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
