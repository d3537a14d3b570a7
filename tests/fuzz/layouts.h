/* SPDX-License-Identifier: MIT */
/*
 * layouts - the two layouts of a ring, for a world
 */
#ifndef TESTS_FUZZ_LAYOUTS_H
#define TESTS_FUZZ_LAYOUTS_H

#include "tests/fuzz/world.h"

extern const struct world_layout layout_split;
extern const struct world_layout layout_packed;

#endif
