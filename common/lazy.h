/* SPDX-License-Identifier: MIT */
/*
 * lazy - large tables that cost only the pages that were touched
 *
 * For what is made as large as a peer may ever need and mostly stays unused.
 * A table is all zero at first; no huge page is put under it; right behind it
 * lies a page that nobody may touch. The heap promises none of this: it clears
 * what it has handed out before, which touches all of it.
 *
 * Any thread.
 */
#ifndef COMMON_LAZY_H
#define COMMON_LAZY_H

#include <stddef.h>

/* nr elements, above 0, of a type; aligned to it. NULL: there is no room. */
#define rh_lazy_table(nr, type) ((type *)rh_lazy_alloc(nr, sizeof(type)))

void *rh_lazy_alloc(size_t nr, size_t element_bytes);

/* nr and element_bytes as before; NULL is accepted. */
void rh_lazy_free(void *table, size_t nr, size_t element_bytes);

#endif
