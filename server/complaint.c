/* SPDX-License-Identifier: MIT */
/*
 * complaint - what the log said about a command that failed
 */
#include <stdio.h>
#include <string.h>

#include "server/complaint.h"

static _Thread_local char text[512];

void complaint_note(enum rh_log_level level, const char *line)
{
	if (level == RH_LOG_ERROR && !text[0])
		snprintf(text, sizeof(text), "%s", line);
}

void complaint_begin(void)
{
	text[0] = '\0';
}

const char *complaint_text(int error)
{
	return text[0] ? text : strerror(-error);
}
