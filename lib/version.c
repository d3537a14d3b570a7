/* SPDX-License-Identifier: MIT */
/* version - the running library's version */
#include <ringhost/version.h>

const char *rh_version(void)
{
	return RH_PROJECT_VERSION;
}
