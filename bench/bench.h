/* SPDX-License-Identifier: MIT */
/*
 * bench - the command `ringhost bench`: loads a vhost-user-blk back-end
 *
 * Connects to any back-end as a front-end and a guest would, keeps a number of
 * requests under way, and tells how many were answered, how fast, and at what
 * cost.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * argv[0] is the word "bench", and the words of argv may be changed. Returns
 * the exit code: 0 all requests were answered well; 1 some failed, or the
 * back-end did; 2 the command line was wrong.
 */
int bench_main(int argc, char **argv);

#endif
