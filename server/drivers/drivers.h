/* SPDX-License-Identifier: MIT */
/*
 * drivers - the kinds of storage that this server knows
 *
 * One line for each file of this folder that fills in a struct driver_ops.
 * Only driver_find() uses them by name; everyone else goes through driver.h.
 */
#ifndef SERVER_DRIVERS_DRIVERS_H
#define SERVER_DRIVERS_DRIVERS_H

#include "server/driver.h"

extern const struct driver_ops driver_fault;
extern const struct driver_ops driver_file;
extern const struct driver_ops driver_null;

#endif
