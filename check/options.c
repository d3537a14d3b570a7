/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost check`
 */
#include "check/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"

#define TAG "ringhost"

const char check_options_help[] =
	"ringhost check asks a vhost-user-blk back-end, any one, whether it does what\n"
	"the vhost-user document and virtio 1.3 say.\n"
	"\n"
	"  ringhost check [OPTIONS] SOCKET            test the one that listens there\n"
	"  ringhost check [OPTIONS] --list            what it would test\n"
	"\n"
	"The back-end must be idle. Cases write to the last 1 MiB of its disk only (or\n"
	"the last 16 blocks, if those are more), and what was there is put back after\n"
	"each. Without --hostile nothing is sent that a correct front-end and guest\n"
	"may not send.\n"
	"\n"
	"  --hostile              run the cases that send malformed messages, rings and\n"
	"                         requests as well; a back-end may die of them\n"
	"  --only=GLOB[,GLOB]     run the cases whose name or group fits\n"
	"  --no-write             run no case that writes to the disk\n"
	"  --restart-cmd=COMMAND  when the back-end is dead or hangs, have the shell run\n"
	"                         this to start it anew, and go on\n"
	"  --pid=PID              look for leaks in this process; by default in the one\n"
	"                         that listens on the socket; none: in no process\n"
	"  --timeout=SECONDS      how long to wait for an answer (default: 5)\n"
	"  --format=FORMAT        text (default), tap or junit\n"
	"  --list                 name, group, section and promise of each case\n"
	"  -h, --help             this text\n"
	"\n"
	"Exit status: 0 when no case failed, 1 when one did, 2 when nothing could be\n"
	"tested. More in ringhost-check(1).\n";

enum {
	OPTION_FORMAT = 256,
	OPTION_HOSTILE,
	OPTION_LIST,
	OPTION_NO_WRITE,
	OPTION_ONLY,
	OPTION_PID,
	OPTION_RESTART_COMMAND,
	OPTION_TIMEOUT,
};

static const struct option long_options[] = {
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "help", no_argument, NULL, 'h' },
	{ "hostile", no_argument, NULL, OPTION_HOSTILE },
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "no-write", no_argument, NULL, OPTION_NO_WRITE },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "restart-cmd", required_argument, NULL, OPTION_RESTART_COMMAND },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ 0 },
};

/* Returns 0 with *ret set, or -EINVAL. */
static int parse_number(const char *text, long most, long *ret)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > most)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_format(const char *text, struct check_options *options)
{
	static const char *const names[] = {
		[CHECK_FORMAT_TEXT] = "text",
		[CHECK_FORMAT_TAP] = "tap",
		[CHECK_FORMAT_JUNIT] = "junit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			options->format = (enum check_format)i;
			return 0;
		}
	}
	rh_log(RH_LOG_ERROR, TAG,
	       "--format=%s is not possible: give text, tap or junit", text);
	return -EINVAL;
}

static int parse_pid(const char *text, struct check_options *options)
{
	long value = -1;

	if (strcmp(text, "none") && parse_number(text, INT32_MAX, &value) < 0) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--pid=%s is not possible: give the number of the "
		       "back-end's process, or none",
		       text);
		return -EINVAL;
	}
	options->pid = (pid_t)value;
	return 0;
}

static int parse_timeout(const char *text, struct check_options *options)
{
	long value;

	if (parse_number(text, CHECK_MAX_TIMEOUT_SEC, &value) < 0) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--timeout=%s is not possible: give 1 to %d seconds",
		       text, CHECK_MAX_TIMEOUT_SEC);
		return -EINVAL;
	}
	options->timeout_sec = (int)value;
	return 0;
}

static int parse_option(int option, struct check_options *options)
{
	switch (option) {
	case 'h':
		options->help = true;
		return 0;
	case OPTION_FORMAT:
		return parse_format(optarg, options);
	case OPTION_HOSTILE:
		options->hostile = true;
		return 0;
	case OPTION_LIST:
		options->list = true;
		return 0;
	case OPTION_NO_WRITE:
		options->no_write = true;
		return 0;
	case OPTION_ONLY:
		options->only = optarg;
		return 0;
	case OPTION_PID:
		return parse_pid(optarg, options);
	case OPTION_RESTART_COMMAND:
		options->restart_command = optarg;
		return 0;
	case OPTION_TIMEOUT:
		return parse_timeout(optarg, options);
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct check_options *options)
{
	const char *word;
	int option;

	optind = 0; /* anew, also after another command line */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) !=
	       -1) {
		word = argv[optind - 1];
		if (option == ':') {
			rh_log(RH_LOG_ERROR, TAG, "%s needs a value", word);
			return -EINVAL;
		}
		if (option == '?') {
			rh_log(RH_LOG_ERROR, TAG,
			       "check has no option %s: see ringhost check "
			       "--help",
			       word);
			return -EINVAL;
		}
		if (parse_option(option, options) < 0)
			return -EINVAL;
	}
	return 0;
}

int check_options_parse(int argc, char **argv, struct check_options *ret)
{
	struct check_options options = {
		.timeout_sec = CHECK_DEFAULT_TIMEOUT_SEC,
	};

	if (parse_options(argc, argv, &options) < 0)
		return -EINVAL;
	if (optind < argc)
		options.socket = argv[optind++];
	if (optind < argc) {
		rh_log(RH_LOG_ERROR, TAG,
		       "check takes one socket: what is '%s'?", argv[optind]);
		return -EINVAL;
	}
	if (!options.socket && !options.list && !options.help) {
		rh_log(RH_LOG_ERROR, TAG,
		       "check needs the path of the back-end's socket: "
		       "ringhost check /run/disk.sock");
		return -EINVAL;
	}
	*ret = options;
	return 0;
}
