/* SPDX-License-Identifier: MIT */
/*
 * check - the command `ringhost check`: tests a vhost-user-blk back-end
 *
 * Connects to the back-end as a front-end and a guest would and runs the cases
 * of groups.c, each tied to the section of the document that it checks.
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

/*
 * argv[0] is the word "check". Returns the exit code: 0 no case failed, 1 one
 * did, 2 nothing could be tested (logged).
 */
int check_main(int argc, char **argv);

#endif
