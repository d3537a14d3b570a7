/* SPDX-License-Identifier: MIT */
/* lazy - a table costs what was touched of it, and ends at a wall */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base.h"
#include "common/lazy.h"
#include "tests/unit/resident.h"

#define NR 1000

struct __attribute__((aligned(64))) element {
	uint64_t words[24];
};

static void what_is_not_touched_is_not_there(void **state)
{
	struct element *table = rh_lazy_table(NR, struct element);

	(void)state;
	assert_non_null(table);
	assert_int_equal(resident_pages(table, NR * sizeof(*table)), 0);
	table[0].words[0] = 1;
	assert_int_equal(resident_pages(table, NR * sizeof(*table)), 1);
	table[NR - 1].words[0] = 1;
	assert_int_equal(resident_pages(table, NR * sizeof(*table)), 2);
	rh_lazy_free(table, NR, sizeof(*table));
}

static void all_of_it_is_zero_and_writable(void **state)
{
	static const struct element zero;
	struct element *table = rh_lazy_table(NR, struct element);

	(void)state;
	assert_non_null(table);
	for (size_t i = 0; i < NR; i++) {
		assert_memory_equal(&table[i], &zero, sizeof(zero));
		memset(&table[i], 0xff, sizeof(table[i]));
	}
	rh_lazy_free(table, NR, sizeof(*table));
}

static void elements_are_aligned_as_they_must_be(void **state)
{
	(void)state;
	for (size_t nr = 1; nr < 100; nr++) {
		struct element *table = rh_lazy_table(nr, struct element);

		assert_non_null(table);
		assert_true(is_aligned((uintptr_t)table, 64));
		rh_lazy_free(table, nr, sizeof(*table));
	}
}

/* How a child ends that touches the byte. */
static int touch(const volatile char *byte)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*byte);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void the_byte_behind_it_must_not_be_touched(void **state)
{
	(void)state;
	for (size_t nr = 1; nr < 3 * resident_page_bytes(); nr += 777) {
		char *table = rh_lazy_table(nr, char);

		assert_non_null(table);
		assert_int_equal(touch(&table[nr - 1]), 0);
		assert_true(WIFSIGNALED(touch(&table[nr])));
		rh_lazy_free(table, nr, 1);
	}
}

static void what_is_freed_is_gone(void **state)
{
	size_t page = resident_page_bytes();
	char *table = rh_lazy_table(5 * page, char);
	unsigned char there;

	(void)state;
	assert_non_null(table);
	rh_lazy_free(table, 5 * page, 1);
	for (size_t i = 0; i <= 5; i++)
		assert_int_equal(mincore(table + i * page, 1, &there), -1);
	rh_lazy_free(NULL, NR, 1);
}

static void a_size_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	assert_null(rh_lazy_alloc(SIZE_MAX / 2, 3));
	assert_null(rh_lazy_alloc(SIZE_MAX, 1));
	assert_null(rh_lazy_alloc(PTRDIFF_MAX, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_touched_is_not_there),
		cmocka_unit_test(all_of_it_is_zero_and_writable),
		cmocka_unit_test(elements_are_aligned_as_they_must_be),
		cmocka_unit_test(the_byte_behind_it_must_not_be_touched),
		cmocka_unit_test(what_is_freed_is_gone),
		cmocka_unit_test(a_size_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests_name("lazy", tests, NULL, NULL);
}
