/* SPDX-License-Identifier: MIT */
/*
 * self - what the process takes of its host
 *
 * Control thread.
 */
#ifndef SERVER_METRICS_SELF_H
#define SERVER_METRICS_SELF_H

#include "server/metrics/report.h"

/* Before the process gives up to open files; harmless if called again. */
void self_begin(void);

/* What cannot be learnt is -1. */
void self_learn(struct report_process *process);

#endif
