/* SPDX-License-Identifier: MIT */
/*
 * select - which cases the patterns of --only choose
 */
#ifndef CHECK_SELECT_H
#define CHECK_SELECT_H

#include <stdbool.h>

#include "check/case.h"

/*
 * True if the case's name, its group's, or "GROUP/NAME" fits one of the
 * patterns, which commas divide. patterns: NULL fits all; a pattern of no
 * characters fits nothing. Wildcards are those of the shell.
 */
bool select_fits(const char *patterns, const struct check_group *group,
		 const struct check_case *test);

#endif
