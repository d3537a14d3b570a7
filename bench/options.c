/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost bench`
 */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "bench/options_rows.h"
#include "common/base.h"
#include "common/log.h"

#define TAG	     "ringhost"
#define FIRST_OPTION 256

const char bench_options_help[] =
	"ringhost bench loads a vhost-user-blk back-end, any one, and tells how fast it is\n"
	"and what it costs.\n"
	"\n"
	"  ringhost bench [OPTIONS] SOCKET\n"
	"\n"
	"Writing destroys what is on the disk; the default job reads only.\n"
	"\n"
	"The job, in the words of fio(1)\n"
	"  --rw=KIND              randread (default), read, and, which overwrite the\n"
	"                         disk, write, randwrite, rw, randrw\n"
	"  --rwmixread=PERCENT    share of the reads in rw and randrw (default: 50)\n"
	"  --bs=SIZE              of each request (default: 4k)\n"
	"  --offset=SIZE          where the job's part of the disk begins\n"
	"  --size=SIZE            how large it is (default: up to the end)\n"
	"  --iodepth=N            requests under way in each queue (default: 32)\n"
	"  --numjobs=N            queues (default: 1)\n"
	"  --flood=N              so many requests under way in the last queue, which is\n"
	"                         told of apart\n"
	"  --runtime=TIME         how long to measure (default: 5)\n"
	"  --ramp_time=TIME       how long to load before that (default: 0)\n"
	"  --rate_iops=N          requests a second of each queue; latency counts from\n"
	"                         when a request was due\n"
	"  --verify=pattern       write what can be checked, and read it back\n"
	"  --randseed=N           another order of the blocks (default: 1)\n"
	"\n"
	"The driver\n"
	"  --notify=HOW           wait: sleep until the device calls (default); poll:\n"
	"                         spin, and ask for no calls\n"
	"  --threads=N            threads that drive the queues (default: 1)\n"
	"  --queue-size=N         entries of a ring (default: 128, or what the job\n"
	"                         needs)\n"
	"  --packed               packed rings\n"
	"  --no-indirect          descriptors in the ring itself\n"
	"  --no-event-idx         notifications are suppressed by flags\n"
	"  --timeout=TIME         without any answer, give up (default: 30)\n"
	"\n"
	"The report\n"
	"  --pid=PID              tell what this process, the server, uses\n"
	"  --output=FILE          write to it rather than to standard output\n"
	"  --output-format=FORMAT normal (default) or json\n"
	"  --quiet                no live progress on a terminal\n"
	"  -h, --help             this text\n"
	"\n"
	"SIZE is in bytes, or ends in k, M, G or T. TIME is in seconds, or ends in ms, s\n"
	"or m. In names of options, - and _ are the same. SIGINT ends the measurement\n"
	"and reports what there is.\n"
	"\n"
	"Exit status: 0 when all requests were answered well, 1 when one was not or the\n"
	"back-end failed, 2 when the command line was wrong. More in ringhost-bench(1).\n";

/* --rate_iops=5 is --rate-iops=5 */
static void unify_names(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (strncmp(argv[i], "--", 2))
			continue;
		for (char *c = argv[i]; *c && *c != '='; c++)
			if (*c == '_')
				*c = '-';
	}
}

static int parse_options(int argc, char **argv, struct bench_parser *parser)
{
	struct option long_options[BENCH_MAX_ROWS + 1] = { 0 };
	int option;

	for (unsigned int i = 0; bench_rows[i].name; i++)
		long_options[i] = (struct option){
			.name = bench_rows[i].name,
			.has_arg = bench_rows[i].has_value,
			.val = FIRST_OPTION + (int)i,
		};
	optind = 0; /* anew, also after another command line */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) !=
	       -1) {
		if (option == ':' || option == '?') {
			rh_log(RH_LOG_ERROR, TAG,
			       option == ':' ? "%s needs a value" :
					       "bench has no option %s: see "
					       "ringhost bench --help",
			       argv[optind - 1]);
			return -EINVAL;
		}
		if (option == 'h') {
			parser->options->help = true;
			continue;
		}
		parser->row = &bench_rows[option - FIRST_OPTION];
		parser->value = optarg;
		if (parser->row->take(parser) < 0)
			return -EINVAL;
	}
	return 0;
}

static int check_together(const struct bench_options *options)
{
	if (options->offset_bytes % options->block_bytes) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--offset must be a multiple of --bs");
		return -EINVAL;
	}
	if (options->size_bytes && options->size_bytes < options->block_bytes) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--size must be at least --bs: no request fits");
		return -EINVAL;
	}
	if (options->flood && options->nr_queues < 2) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--flood fills the last queue, and there is one only: "
		       "give --numjobs=2 or more");
		return -EINVAL;
	}
	if (options->verify && !options->writes) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--verify checks what the job wrote, and --rw=%s writes "
		       "nothing: give randwrite or randrw",
		       options->rw);
		return -EINVAL;
	}
	if (options->packed || !options->queue_size ||
	    is_power_of_2(options->queue_size))
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "--queue-size=%u must be a power of two, unless --packed is "
	       "given",
	       options->queue_size);
	return -EINVAL;
}

static int take_socket(int argc, char **argv, struct bench_options *options)
{
	if (optind < argc)
		options->socket = argv[optind++];
	if (optind < argc) {
		rh_log(RH_LOG_ERROR, TAG,
		       "bench takes one socket: what is '%s'?", argv[optind]);
		return -EINVAL;
	}
	if (!options->socket && !options->help) {
		rh_log(RH_LOG_ERROR, TAG,
		       "bench needs the path of the back-end's socket: "
		       "ringhost bench /run/disk.sock");
		return -EINVAL;
	}
	return 0;
}

int bench_options_parse(int argc, char **argv, struct bench_options *ret)
{
	struct bench_options options = {
		.rw = "randread",
		.reads = true,
		.random = true,
		.read_percent = 50,
		.block_bytes = 4096,
		.iodepth = 32,
		.nr_queues = 1,
		.nr_threads = 1,
		.runtime_msec = 5000,
		.timeout_msec = 30000,
		.seed = 1,
		.indirect = true,
		.event_idx = true,
	};
	struct bench_parser parser = { .options = &options };

	unify_names(argc, argv);
	if (parse_options(argc, argv, &parser) < 0 ||
	    take_socket(argc, argv, &options) < 0 ||
	    check_together(&options) < 0)
		return -EINVAL;
	if (!options.writes)
		options.read_percent = 100;
	else if (!options.reads)
		options.read_percent = 0;
	*ret = options;
	return 0;
}
