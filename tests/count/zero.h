/* SPDX-License-Identifier: MIT */
/*
 * zero - a disk of zeros that an engine reads from /dev/zero
 *
 * The least that a driver with an engine can be, so that what it costs is the
 * engine's. The kernel completes such a read at once, so what a turn finds
 * does not depend on time. Reads of one buffer only.
 */
#ifndef TESTS_COUNT_ZERO_H
#define TESTS_COUNT_ZERO_H

#include "server/driver.h"

extern const struct driver_ops zero_driver;

#endif
