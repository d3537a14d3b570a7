/* SPDX-License-Identifier: MIT */
/*
 * watch - what the main thread does while others load the back-end
 *
 * Phases, the server's figures, progress, and whatever ends a run early.
 */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

struct load;
struct load_result;

/*
 * SIGINT and SIGTERM come to watch_run() from now on, in this thread and in
 * those that it starts. Returns 0 or -errno.
 */
int watch_block_signals(void);

/* From CREW_RAMPS until all threads have ended, well or not. */
void watch_run(struct load *load, struct load_result *result);

#endif
