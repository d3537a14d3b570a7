/* SPDX-License-Identifier: MIT */
/*
 * bench - the command `ringhost bench`: loads a vhost-user-blk back-end
 */
#include "bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/report.h"
#include "common/base.h"
#include "common/log.h"

#define TAG	   "ringhost"
#define EXIT_USAGE 2

static int print_report(FILE *file, const struct load *load,
			const struct load_result *result)
{
	int error = 0;

	if (load->options->format == BENCH_FORMAT_JSON)
		error = bench_report_json(file, load, result);
	else
		bench_report_text(file, load, result);
	if (!error && fflush(file) != 0)
		error = -errno;
	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot write the report: %s",
		       strerror(-error));
	return error;
}

static bool went_well(const struct load_result *result)
{
	return !result->failed && !result->reads.nr_errors &&
	       !result->writes.nr_errors && !result->flood.nr_errors &&
	       !result->nr_mismatches;
}

static int run(const struct bench_options *options, FILE *file)
{
	static struct load load;
	static struct load_result result;
	int code = EXIT_FAILURE;

	if (load_init(&load, options) == 0 && load_run(&load, &result) == 0 &&
	    print_report(file, &load, &result) == 0 && went_well(&result))
		code = EXIT_SUCCESS;
	load_deinit(&load);
	return code;
}

int bench_main(int argc, char **argv)
{
	struct bench_options options;
	FILE *file = stdout;
	int code;

	if (bench_options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	if (options.help) {
		fputs(bench_options_help, stdout);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN);
	/* before the run: a path that cannot be written wastes none */
	if (options.output)
		file = fopen(options.output, "we");
	if (!file) {
		rh_log(RH_LOG_ERROR, TAG, "cannot write to %s: %s",
		       options.output, strerror(errno));
		return EXIT_USAGE;
	}
	code = run(&options, file);
	if (file != stdout && fclose(file) != 0)
		code = EXIT_FAILURE;
	return code;
}
