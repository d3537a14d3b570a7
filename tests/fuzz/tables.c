/* SPDX-License-Identifier: MIT */
/*
 * tables - the tables of common/lazy.h, kept from one run to the next
 *
 * Mapping them anew would be most of what a short run costs. A table that is
 * in nobody's hands is poisoned. A large one is handed out with what was in
 * it, which is less than is promised: nothing that is large counts on zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/poison.h"

#define MAX_TABLES  64
#define LARGE_BYTES 32768

void *__wrap_rh_lazy_alloc(size_t nr, size_t element_bytes);
void __wrap_rh_lazy_free(void *table, size_t nr, size_t element_bytes);

static struct kept {
	void *table;
	size_t bytes;
} kept[MAX_TABLES];
static unsigned int nr_kept;

static void *take_kept(size_t bytes)
{
	for (unsigned int i = 0; i < nr_kept; i++) {
		void *table = kept[i].table;

		if (kept[i].bytes != bytes)
			continue;
		kept[i] = kept[--nr_kept];
		unpoison(table, bytes);
		if (bytes < LARGE_BYTES)
			memset(table, 0, bytes);
		return table;
	}
	return NULL;
}

void *__wrap_rh_lazy_alloc(size_t nr, size_t element_bytes)
{
	size_t bytes = nr * element_bytes;
	void *table = take_kept(bytes);

	FUZZ_CHECK(nr && element_bytes && bytes / nr == element_bytes);
	return table ? table : calloc(1, bytes);
}

void __wrap_rh_lazy_free(void *table, size_t nr, size_t element_bytes)
{
	if (!table)
		return;
	if (nr_kept == MAX_TABLES) {
		free(table);
		return;
	}
	kept[nr_kept++] = (struct kept){ table, nr * element_bytes };
	poison(table, nr * element_bytes);
}
