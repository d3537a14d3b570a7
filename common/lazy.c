/* SPDX-License-Identifier: MIT */
/*
 * lazy - large tables that cost only the pages that were touched
 *
 * A table is put at the end of its pages, so that the guard page follows the
 * last element without a gap.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "common/base.h"
#include "common/lazy.h"

struct extent {
	size_t table_bytes;
	size_t pages_bytes;
	size_t guard_bytes;
};

static bool measure(size_t nr, size_t element_bytes, struct extent *ret)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t bytes;
	uint64_t end;

	if (mul_overflows(nr, element_bytes, &bytes) ||
	    add_overflows(bytes, 2 * page_bytes, &end) || end > PTRDIFF_MAX)
		return false;
	ret->table_bytes = bytes;
	ret->pages_bytes = align_down(bytes + page_bytes - 1, page_bytes);
	ret->guard_bytes = page_bytes;
	return true;
}

void *rh_lazy_alloc(size_t nr, size_t element_bytes)
{
	struct extent extent;
	char *base;

	if (!measure(nr, element_bytes, &extent))
		return NULL;
	base = mmap(NULL, extent.pages_bytes + extent.guard_bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, extent.pages_bytes, PROT_READ | PROT_WRITE) < 0) {
		munmap(base, extent.pages_bytes + extent.guard_bytes);
		return NULL;
	}
	/* A kernel without huge pages does not know the word. */
	madvise(base, extent.pages_bytes, MADV_NOHUGEPAGE);
	return base + extent.pages_bytes - extent.table_bytes;
}

void rh_lazy_free(void *table, size_t nr, size_t element_bytes)
{
	struct extent extent;
	char *base;

	if (!table || !measure(nr, element_bytes, &extent))
		return;
	base = (char *)table + extent.table_bytes - extent.pages_bytes;
	munmap(base, extent.pages_bytes + extent.guard_bytes);
}
