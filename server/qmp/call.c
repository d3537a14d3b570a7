/* SPDX-License-Identifier: MIT */
/*
 * call - one command, from where it was given to its answer
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/qmp/call.h"

void qmp_return(struct qmp_call *call, json_t *value)
{
	if (!value)
		value = json_object();
	call->answered(call, value, NULL, value ? NULL : "out of memory");
}

static void refuse(struct qmp_call *call, const char *class, const char *format,
		   va_list args)
{
	char why[QMP_WHY_BYTES];

	vsnprintf(why, sizeof(why), format, args);
	call->answered(call, NULL, class, why);
}

void qmp_refuse(struct qmp_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, NULL, format, args);
	va_end(args);
}

void qmp_refuse_as(struct qmp_call *call, const char *class, const char *format,
		   ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, class, format, args);
	va_end(args);
}

int qmp_lend_socket(struct qmp_call *call)
{
	return call->lend_socket ? call->lend_socket(call) : -EOPNOTSUPP;
}
