/* SPDX-License-Identifier: MIT */
/*
 * session-compare - do two devices hold the same session?
 *
 * Member by member where that needs thought, and byte by byte for all that is
 * not named in session-compare.c: a member that is new and forgotten shows.
 * Both devices are paused.
 */
#ifndef TESTS_UNIT_SESSION_COMPARE_H
#define TESTS_UNIT_SESSION_COMPARE_H

#include "lib/device.h"

/* Fails the test if they do not. */
void session_assert_same(const struct rh_device *one,
			 const struct rh_device *other);

/* True if these two numbers are the same open file, or both none. */
bool session_same_file(int one, int other);

#endif
