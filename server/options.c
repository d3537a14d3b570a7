/* SPDX-License-Identifier: MIT */
/*
 * options - what the command line says
 *
 * getopt_long(3) cuts the words, options_rows.c checks each value by itself,
 * and check_together() what options say about each other, when all are known.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/options_rows.h"

#define TAG		  "ringhost"
#define DISK_NAME	  "disk0"
#define DEFAULT_NR_QUEUES 16

/* Above all characters, so that getopt_long(3) tells them from short ones. */
#define ROW_VALUE(id) (256 + (int)(id))

static bool is_given(const struct parser *parser, enum row_id id)
{
	return parser->given & (UINT64_C(1) << id);
}

/* Pairs that exclude each other, with the way out. */
static int check_pairs(const struct parser *parser)
{
	static const struct {
		enum row_id one;
		enum row_id other;
		const char *advice;
	} pairs[] = {
		{ ROW_SOCKET_PATH, ROW_FD, "give one socket" },
		{ ROW_SOCKET_MODE, ROW_FD,
		  "whoever made the socket gave it its permissions" },
		{ ROW_SOCKET_GROUP, ROW_FD,
		  "whoever made the socket gave it its group" },
		{ ROW_QUIET, ROW_VERBOSE, "leave one of them out" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (!is_given(parser, pairs[i].one) ||
		    !is_given(parser, pairs[i].other))
			continue;
		rh_log(RH_LOG_ERROR, TAG,
		       "--%s and --%s exclude each other: %s",
		       options_rows[pairs[i].one].name,
		       options_rows[pairs[i].other].name, pairs[i].advice);
		return -EINVAL;
	}
	return 0;
}

static int check_run(const struct parser *parser)
{
	static const enum row_id not_for_run[] = {
		ROW_EXIT_ON_DISCONNECT, ROW_FD,		 ROW_SOCKET_GROUP,
		ROW_SOCKET_MODE,	ROW_SOCKET_PATH,
	};

	for (size_t i = 0; i < ARRAY_SIZE(not_for_run); i++) {
		if (!is_given(parser, not_for_run[i]))
			continue;
		rh_log(RH_LOG_ERROR, TAG,
		       "--%s is for ringhost serve: run makes a socket of its "
		       "own and ends with its command",
		       options_rows[not_for_run[i]].name);
		return -EINVAL;
	}
	return 0;
}

/* The driver that has the storage. */
static const char *storage_name(const struct options *options)
{
	const struct server_options *server = &options->server;

	if (!strcmp(server->driver->name, "fault"))
		return server->driver_options.wrapped->name;
	return server->driver->name;
}

static int check_faults(const struct parser *parser)
{
	static const enum row_id for_fault[] = { ROW_FAULT, ROW_FAULT_CACHE,
						 ROW_FAULT_DRIVER,
						 ROW_FAULT_SEED };

	if (!strcmp(parser->options->server.driver->name, "fault"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(for_fault); i++) {
		if (!is_given(parser, for_fault[i]))
			continue;
		rh_log(RH_LOG_ERROR, TAG,
		       "--%s is for --driver=fault: add that, if the disk is "
		       "to fail",
		       options_rows[for_fault[i]].name);
		return -EINVAL;
	}
	return 0;
}

static int check_image(const struct parser *parser)
{
	const struct options *options = parser->options;
	const char *storage = storage_name(options);
	bool needs_image = !strcmp(storage, "file");

	if (needs_image && !options->image)
		rh_log(RH_LOG_ERROR, TAG,
		       "no image is given: ringhost IMAGE, or see "
		       "ringhost --help");
	else if (needs_image && is_given(parser, ROW_SIZE))
		rh_log(RH_LOG_ERROR, TAG,
		       "--size is for --driver=null, an image has the size "
		       "that it has: make one with truncate -s SIZE %s",
		       options->image);
	else if (!needs_image && options->image)
		rh_log(RH_LOG_ERROR, TAG,
		       "--driver=%s takes no image: leave %s out", storage,
		       options->image);
	else
		return 0;
	return -EINVAL;
}

static int check_limits(const struct parser *parser)
{
	char why[THROTTLE_WHY_BYTES];
	int error = throttle_limits_check(
		&parser->options->server.export.limits, why);

	if (error)
		rh_log(RH_LOG_ERROR, TAG, "--limit is refused: %s", why);
	return error;
}

static int check_together(const struct parser *parser)
{
	int error = check_pairs(parser);

	if (!error && parser->options->command == OPTIONS_RUN)
		error = check_run(parser);
	if (!error)
		error = check_faults(parser);
	if (!error)
		error = check_limits(parser);
	return error ? error : check_image(parser);
}

static unsigned int default_nr_queues(void)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned int)MIN(MAX(nr_cpus, (long)DEFAULT_NR_QUEUES),
				 (long)OPTIONS_MAX_QUEUES);
}

static void set_defaults(struct options *options)
{
	*options = (struct options){
		.command = OPTIONS_SERVE,
		.fd = -1,
		.log_format = "text",
		.socket_mode = 0660,
		.socket_gid = (gid_t)-1,
		.server = {
			.nr_workers = 1,
			.engine = ENGINE_URING,
			.driver = driver_find("file"),
			.driver_options = {
				.name = DISK_NAME,
				.cache = DRIVER_CACHE_NONE,
				.wrapped = driver_find("file"),
				.fault_seed = 1,
			},
			.export = {
				.name = DISK_NAME,
				.nr_queues = default_nr_queues(),
				.queue_size = OPTIONS_MAX_QUEUE_SIZE,
				.limits = THROTTLE_NO_LIMITS,
			},
		},
	};
}

/* What getopt_long(3) reads, made of the rows. */
static void describe_rows(struct option long_options[NR_ROWS + 1],
			  char letters[NR_ROWS + 2])
{
	size_t nr_letters = 0;

	letters[nr_letters++] = ':';
	for (size_t i = 0; i < NR_ROWS; i++) {
		long_options[i] = (struct option){
			.name = options_rows[i].name,
			.has_arg = options_rows[i].has_value ?
					   required_argument :
					   no_argument,
			.val = ROW_VALUE(i),
		};
		if (options_rows[i].letter)
			letters[nr_letters++] = options_rows[i].letter;
	}
	long_options[NR_ROWS] = (struct option){ 0 };
	letters[nr_letters] = '\0';
}

static int refuse_option(char **argv, int outcome)
{
	if (outcome == ':')
		rh_log(RH_LOG_ERROR, TAG,
		       "--%s needs a value: see ringhost --help",
		       options_rows[optopt - ROW_VALUE(0)].name);
	else if (optopt >= ROW_VALUE(0))
		rh_log(RH_LOG_ERROR, TAG, "--%s takes no value: %s",
		       options_rows[optopt - ROW_VALUE(0)].name,
		       argv[optind - 1]);
	else if (optopt)
		rh_log(RH_LOG_ERROR, TAG,
		       "-%c is not an option: see ringhost --help", optopt);
	else
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is not an option: see ringhost --help",
		       argv[optind - 1]);
	return -EINVAL;
}

static const struct row *row_of(int outcome)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (outcome == ROW_VALUE(i) ||
		    outcome == options_rows[i].letter)
			return &options_rows[i];
	}
	return NULL;
}

static int parse_options(struct parser *parser, int argc, char **argv)
{
	struct option long_options[NR_ROWS + 1];
	char letters[NR_ROWS + 2];
	int outcome;
	int error = 0;

	describe_rows(long_options, letters);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while (!error && (outcome = getopt_long(argc, argv, letters,
						long_options, NULL)) != -1) {
		parser->row = row_of(outcome);
		if (!parser->row)
			return refuse_option(argv, outcome);
		parser->value = optarg;
		parser->given |= UINT64_C(1) << (parser->row - options_rows);
		error = parser->row->take(parser);
	}
	for (int i = optind; !error && i < argc; i++) {
		parser->row = &options_rows[ROW_BLK_FILE];
		parser->value = argv[i];
		error = options_take_image(parser);
	}
	return error;
}

/* The index of the word --, or argc. */
static int find_separator(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--"))
			return i;
	}
	return argc;
}

/* These have all other options ignored, the wrong ones too. */
static bool find_overriding(int nr_words, char **argv, struct options *options)
{
	static const enum row_id overriding[] = { ROW_HELP, ROW_VERSION,
						  ROW_PRINT_CAPABILITIES };
	struct parser parser = { .options = options };

	for (int i = 1; i < nr_words; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(overriding); j++) {
			const struct row *row = &options_rows[overriding[j]];
			const char *word = argv[i];

			if ((word[0] == '-' && word[1] == '-' &&
			     !strcmp(word + 2, row->name)) ||
			    (row->letter && word[0] == '-' &&
			     word[1] == row->letter && !word[2]))
				return row->take(&parser) == 0;
		}
	}
	return false;
}

static int find_run_command(int argc, char **argv, int separator,
			    struct options *options)
{
	if (separator + 1 < argc) {
		options->run_argv = &argv[separator + 1];
		return 0;
	}
	rh_log(RH_LOG_ERROR, TAG,
	       "run needs the VM's command behind --: "
	       "ringhost run IMAGE -- qemu-system-x86_64 ...");
	return -EINVAL;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	struct options options;
	struct parser parser = { .options = &options };
	int nr_words;
	int error = 0;

	set_defaults(&options);
	if (argc > 1 && (!strcmp(argv[1], "serve") || !strcmp(argv[1], "run") ||
			 !strcmp(argv[1], "help"))) {
		if (argv[1][0] == 'r')
			options.command = OPTIONS_RUN;
		else if (argv[1][0] == 'h')
			options.command = OPTIONS_HELP;
		argc--;
		argv++;
	}
	nr_words = find_separator(argc, argv);
	if (options.command == OPTIONS_HELP ||
	    find_overriding(nr_words, argv, &options)) {
		*ret = options;
		return 0;
	}
	if (options.command == OPTIONS_RUN)
		error = find_run_command(argc, argv, nr_words, &options);
	else
		nr_words = argc;
	if (!error)
		error = parse_options(&parser, nr_words, argv);
	if (!error)
		error = check_together(&parser);
	if (error)
		return error;
	options.server.driver_options.image = options.image;
	*ret = options;
	return 0;
}

int options_socket_path(const struct options *options, char **ret)
{
	const char *name = options->socket_path;
	const char *slash;
	char *path;
	int nr_bytes;

	if (name) {
		path = strdup(name);
		nr_bytes = path ? 0 : -1;
	} else {
		name = options->image ? options->image :
					options->server.driver->name;
		slash = strrchr(name, '/');
		nr_bytes = asprintf(&path, "%s.sock", slash ? slash + 1 : name);
	}
	if (nr_bytes < 0) {
		rh_log(RH_LOG_ERROR, TAG,
		       "there is no memory for the path of the socket");
		return -ENOMEM;
	}
	*ret = path;
	return 0;
}
