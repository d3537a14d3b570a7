/* SPDX-License-Identifier: MIT */
/*
 * check - the command `ringhost check`: tests a vhost-user-blk back-end
 */
#include "check/check.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/options.h"
#include "check/report.h"
#include "check/runner.h"
#include "check/target.h"
#include "common/base.h"
#include "common/log.h"
#include "tests/frontend/message.h"

#define TAG	     "ringhost"
#define EXIT_UNABLE  2
#define MSEC_PER_SEC 1000

/*
 * The back-end is gone and its disk is not as it was: keep what was there,
 * and say how it gets back.
 */
static void save_scratch(const struct target *target)
{
	char path[] = "ringhost-check-XXXXXX";
	cleanup_close int fd = mkstemp(path);

	if (fd < 0 || write(fd, target->scratch, target->scratch_bytes) !=
			      (ssize_t)target->scratch_bytes) {
		rh_log(RH_LOG_ERROR, TAG,
		       "the last %u bytes of the disk are not as they were, "
		       "and could not be kept in a file here: %s",
		       target->scratch_bytes, strerror(errno));
		return;
	}
	rh_log(RH_LOG_WARNING, TAG,
	       "the last %u bytes of the disk may not be as they were; they "
	       "are kept in %s: dd if=%s of=IMAGE bs=512 seek=%" PRIu64
	       " conv=notrunc",
	       target->scratch_bytes, path, path, target->scratch_sector);
}

static int run(const struct check_options *options, struct target *target)
{
	struct check_results results;
	struct report report = {
		.format = options->format,
		.file = stdout,
		.target = target,
		.hostile = options->hostile,
	};
	int code = EXIT_SUCCESS;

	report_begin(&report);
	if (runner_run(options, target, report_case, &report, &results) < 0) {
		code = EXIT_UNABLE;
	} else {
		report_end(&report, &results);
		if (results.scratch_lost)
			save_scratch(target);
		if (results.nr_of[CHECK_FAILED] || results.nr_of[CHECK_NOT_RUN])
			code = EXIT_FAILURE;
	}
	runner_free(&results);
	return code;
}

int check_main(int argc, char **argv)
{
	struct check_options options;
	struct target target = { 0 };
	const char *why = NULL;
	int code;
	int error;

	if (check_options_parse(argc, argv, &options) < 0)
		return EXIT_UNABLE;
	if (options.help || options.list) {
		if (options.help)
			fputs(check_options_help, stdout);
		else
			report_list(stdout, &options);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_UNABLE;
	}
	signal(SIGPIPE, SIG_IGN);
	target.socket = options.socket;
	target.timeout_msec = options.timeout_sec * MSEC_PER_SEC;
	fe_send_timeout_msec = target.timeout_msec;
	target.given_pid = options.pid;
	error = target_learn(&target, &why);
	if (error) {
		rh_log(RH_LOG_ERROR, TAG, "%s cannot be tested: %s (%s)",
		       options.socket, why, strerror(-error));
		code = EXIT_UNABLE;
	} else {
		code = run(&options, &target);
	}
	target_deinit(&target);
	return fflush(stdout) == 0 ? code : EXIT_UNABLE;
}
