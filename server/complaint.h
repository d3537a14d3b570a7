/* SPDX-License-Identifier: MIT */
/*
 * complaint - what the log said about a command that failed
 *
 * Who detects a fault logs it, as a sentence that says what to do. Who gave
 * the command by way of the control socket is to read that sentence, too.
 *
 * Each thread has its own.
 */
#ifndef SERVER_COMPLAINT_H
#define SERVER_COMPLAINT_H

#include <ringhost/log.h>

/* From the hook of the log, for each line. */
void complaint_note(enum rh_log_level level, const char *line);

/* What was said before is somebody else's. */
void complaint_begin(void);

/*
 * The first error since complaint_begin(), or the text of this errno if there
 * was none. Valid until the next call of any of these in this thread.
 */
const char *complaint_text(int error);

#endif
