/* SPDX-License-Identifier: MIT */
/*
 * driver - what one kind of storage must be able to do
 *
 * A new driver is one file in drivers/, one line in drivers.h, and one here.
 */
#include <string.h>

#include "common/base.h"
#include "server/driver.h"
#include "server/drivers/drivers.h"

static const struct driver_ops *const all_drivers[] = {
	&driver_fault,
	&driver_file,
	&driver_null,
};

const struct driver_ops *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_drivers); i++)
		if (!strcmp(all_drivers[i]->name, name))
			return all_drivers[i];
	return NULL;
}
