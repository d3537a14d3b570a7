/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost check`
 *
 * Checks all that can be checked without a back-end. A refusal is logged as
 * one sentence. Any thread, one at a time, since getopt_long(3) is.
 */
#ifndef CHECK_OPTIONS_H
#define CHECK_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#define CHECK_DEFAULT_TIMEOUT_SEC 5
#define CHECK_MAX_TIMEOUT_SEC	  600

enum check_format {
	CHECK_FORMAT_TEXT,
	CHECK_FORMAT_TAP,
	CHECK_FORMAT_JUNIT,
};

/* All strings are argv's, or constants. */
struct check_options {
	const char *socket; /* NULL with list and help */
	const char *only;   /* patterns divided by commas; NULL: all */
	const char *restart_command;
	enum check_format format;
	pid_t pid; /* 0: the process that the socket belongs to; -1: none */
	int timeout_sec;
	bool hostile;
	bool no_write;
	bool list;
	bool help;
};

/* argv[0] is the word "check". Returns 0 with *ret set, or -EINVAL (logged). */
int check_options_parse(int argc, char **argv, struct check_options *ret);

extern const char check_options_help[];

#endif
