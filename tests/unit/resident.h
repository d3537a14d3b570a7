/* SPDX-License-Identifier: MIT */
/* resident - which pages of anonymous memory are there, for cmocka's tests */
#ifndef TESTS_UNIT_RESIDENT_H
#define TESTS_UNIT_RESIDENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"

#define RESIDENT_MAX_PAGES 1024

static inline size_t resident_page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Of the pages that these bytes lie in, how many were touched. */
static inline size_t resident_pages(const void *begin, size_t bytes)
{
	size_t page_bytes = resident_page_bytes();
	uintptr_t first = align_down((uintptr_t)begin, page_bytes);
	size_t length = (uintptr_t)begin + bytes - first;
	unsigned char pages[RESIDENT_MAX_PAGES];
	size_t nr = 0;

	assert_true(length <= RESIDENT_MAX_PAGES * page_bytes);
	assert_int_equal(mincore((void *)first, length, pages), 0);
	for (size_t i = 0; i * page_bytes < length; i++)
		nr += pages[i] & 1;
	return nr;
}

#endif
