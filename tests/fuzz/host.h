/* SPDX-License-Identifier: MIT */
/*
 * host - the calls to the kernel that a fuzzer stands in for
 *
 * A page of a real userfaultfd would never come, and the one thread would wait
 * for it: it gets an eventfd instead, under which nothing is ever missing.
 * Mappings are counted, so that one that is left over shows.
 */
#ifndef TESTS_FUZZ_HOST_H
#define TESTS_FUZZ_HOST_H

#include <stdbool.h>

/* No userfaultfd, or one that takes no memory. */
void host_allow_postcopy(bool any, bool memory);

/* Made by the library, and not taken away. */
int host_nr_mappings(void);

#endif
