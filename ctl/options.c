/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of `ringhost ctl`
 */
#include "ctl/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/text.h"

#define TAG		"ringhost"
#define MAX_QUEUES	256
#define MAX_TIMEOUT_SEC 86400
#define MAX_DELAY_SEC	3600
#define FIRST_OPTION	256

const char ctl_options_help[] =
	"ringhost ctl looks at and changes what a running ringhost daemon serves.\n"
	"\n"
	"  ringhost ctl [--socket=PATH] [--json] COMMAND ...\n"
	"\n"
	"  list                     the disks\n"
	"  show ID                  one of them, with all that is known\n"
	"  add ID --image=FILE --socket=PATH [--read-only] [--direct]\n"
	"      [--num-queues=N] [--iothread=ID]... [--serial=TEXT]\n"
	"      [--socket-mode=MODE] [--socket-group=GROUP]\n"
	"                           open an image and offer it on a socket\n"
	"  remove ID [--hard] [--keep-node]\n"
	"                           no longer offer it, and close its image; --hard:\n"
	"                           even if a virtual machine uses it\n"
	"  resize ID|NODE SIZE [--shrink]\n"
	"                           SIZE, or +SIZE more; a guest sees it at once\n"
	"  limit ID NAME=N ...      iops-total, iops-read, iops-write, bps-total,\n"
	"                           bps-read, bps-write, and their -max; or none\n"
	"  move ID [--queue=N] IOTHREAD ...\n"
	"                           have other I/O threads run its queues\n"
	"  pause ID                 take no more requests; resume goes on\n"
	"  resume ID\n"
	"  drain ID                 wait until nothing is under way\n"
	"  stats [ID] [--queues]    what was done since the disk is there\n"
	"  top [-n COUNT] [-d SECONDS] [-b] [--queues]\n"
	"                           what is done now, again and again; -b: as lines,\n"
	"                           for scripts\n"
	"  events                   a line for each, until interrupted\n"
	"  libvirt-xml ID           the <disk> of a libvirt domain\n"
	"  doctor [--user=NAME] [IMAGE|SOCKET|DIRECTORY ...]\n"
	"                           is this host fit for it? also without a daemon\n"
	"  reload                   read the configuration files again\n"
	"  raw JSON                 send this command of ringhost-qmp(7)\n"
	"\n"
	"  --socket=PATH            of the daemon; behind `add`: of the disk. Default:\n"
	"                           $RINGHOST_SOCKET, or " CTL_DEFAULT_SOCKET
	"\n"
	"  --json                   JSON on the standard output\n"
	"  --timeout=SECONDS        wait so long for an answer (default: 30; 0: for ever)\n"
	"  -h, --help               this text\n"
	"\n"
	"SIZE is in bytes, or ends in k, M, G or T. Exit status: 0 when it was done, 1\n"
	"when not, 2 when the command line was wrong. More in ringhost-ctl(1).\n";

struct parser {
	struct ctl_options *options;
	const struct ctl_syntax *syntax; /* NULL: before the command */
	const struct row *row;
	const char *value;
};

struct row {
	const char *name;
	int (*take)(struct parser *parser);
	unsigned int option; /* enum ctl_option; 0: of all commands */
	bool has_value;
	char letter;
};

static int refuse(const struct parser *parser, const char *takes)
{
	rh_log(RH_LOG_ERROR, TAG, "--%s=%s is refused: it takes %s",
	       parser->row->name, parser->value, takes);
	return -EINVAL;
}

static int take_number(const struct parser *parser, unsigned int min,
		       unsigned int max, unsigned int *ret)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(parser->value, &end, 10);
	if (!isdigit((unsigned char)*parser->value) || errno || *end ||
	    number < min || number > max)
		return -EINVAL;
	*ret = (unsigned int)number;
	return 0;
}

static int take_batch(struct parser *parser)
{
	parser->options->batch = true;
	return 0;
}

static int take_count(struct parser *parser)
{
	if (take_number(parser, 1, INT32_MAX, &parser->options->count) < 0)
		return refuse(parser, "how often to look, 1 or more");
	return 0;
}

static int take_delay(struct parser *parser)
{
	char *end;
	double seconds = strtod(parser->value, &end);

	if (!isdigit((unsigned char)*parser->value) || *end ||
	    !(seconds >= 0.1 && seconds <= MAX_DELAY_SEC))
		return refuse(parser, "0.1 to 3600 seconds");
	parser->options->delay_msec = (unsigned int)(seconds * 1000 + 0.5);
	return 0;
}

static int take_direct(struct parser *parser)
{
	parser->options->direct = true;
	return 0;
}

static int take_hard(struct parser *parser)
{
	parser->options->hard = true;
	return 0;
}

static int take_help(struct parser *parser)
{
	parser->options->help = true;
	return 0;
}

static int take_image(struct parser *parser)
{
	parser->options->image = parser->value;
	return 0;
}

static int take_iothread(struct parser *parser)
{
	struct ctl_options *options = parser->options;

	if (options->nr_iothreads == CTL_MAX_IOTHREADS)
		return refuse(parser, "at most 64 I/O threads");
	options->iothreads[options->nr_iothreads++] = parser->value;
	return 0;
}

static int take_json(struct parser *parser)
{
	parser->options->json = true;
	return 0;
}

static int take_keep_node(struct parser *parser)
{
	parser->options->keep_node = true;
	return 0;
}

static int take_num_queues(struct parser *parser)
{
	if (take_number(parser, 1, MAX_QUEUES, &parser->options->nr_queues) < 0)
		return refuse(parser, "a number from 1 to 256");
	return 0;
}

static int take_queue(struct parser *parser)
{
	unsigned int queue;

	if (take_number(parser, 0, MAX_QUEUES - 1, &queue) < 0)
		return refuse(parser, "the number of a queue, from 0 on");
	parser->options->queue = (int)queue;
	return 0;
}

static int take_queues(struct parser *parser)
{
	parser->options->by_queue = true;
	return 0;
}

static int take_read_only(struct parser *parser)
{
	parser->options->read_only = true;
	return 0;
}

static int take_serial(struct parser *parser)
{
	parser->options->serial = parser->value;
	return 0;
}

static int take_shrink(struct parser *parser)
{
	parser->options->shrink = true;
	return 0;
}

/* The daemon's, but behind `add` the disk's. */
static int take_socket(struct parser *parser)
{
	if (!*parser->value)
		return refuse(parser, "the path of a socket");
	if (parser->syntax && parser->syntax->options & CTL_ADD)
		parser->options->disk_socket = parser->value;
	else
		parser->options->socket = parser->value;
	return 0;
}

static int take_socket_group(struct parser *parser)
{
	parser->options->socket_group = parser->value;
	return 0;
}

static int take_socket_mode(struct parser *parser)
{
	parser->options->socket_mode = parser->value;
	return 0;
}

static int take_timeout(struct parser *parser)
{
	unsigned int seconds;

	if (take_number(parser, 0, MAX_TIMEOUT_SEC, &seconds) < 0)
		return refuse(parser, "0 to 86400 seconds");
	parser->options->timeout_msec = seconds ? (int)seconds * 1000 : -1;
	return 0;
}

static int take_user(struct parser *parser)
{
	parser->options->user = parser->value;
	return 0;
}

static const struct row rows[] = {
	{ "batch", take_batch, CTL_TOP, false, 'b' },
	{ "count", take_count, CTL_TOP, true, 'n' },
	{ "delay", take_delay, CTL_TOP, true, 'd' },
	{ "direct", take_direct, CTL_ADD, false, 0 },
	{ "hard", take_hard, CTL_HARD, false, 0 },
	{ "help", take_help, 0, false, 'h' },
	{ "image", take_image, CTL_ADD, true, 0 },
	{ "iothread", take_iothread, CTL_ADD, true, 0 },
	{ "json", take_json, 0, false, 0 },
	{ "keep-node", take_keep_node, CTL_KEEP_NODE, false, 0 },
	{ "num-queues", take_num_queues, CTL_ADD, true, 0 },
	{ "queue", take_queue, CTL_QUEUE, true, 0 },
	{ "queues", take_queues, CTL_QUEUES, false, 0 },
	{ "read-only", take_read_only, CTL_ADD, false, 0 },
	{ "serial", take_serial, CTL_ADD, true, 0 },
	{ "shrink", take_shrink, CTL_SHRINK, false, 0 },
	{ "socket", take_socket, 0, true, 0 },
	{ "socket-group", take_socket_group, CTL_ADD, true, 0 },
	{ "socket-mode", take_socket_mode, CTL_ADD, true, 0 },
	{ "timeout", take_timeout, 0, true, 0 },
	{ "user", take_user, CTL_USER, true, 0 },
};

static int take_option(struct parser *parser, int option, const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		parser->row = &rows[i];
		if (option == FIRST_OPTION + (int)i || option == rows[i].letter)
			break;
	}
	parser->value = optarg;
	if (!parser->row->option ||
	    (parser->syntax && parser->syntax->options & parser->row->option))
		return parser->row->take(parser);
	if (parser->syntax)
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is no option of ringhost ctl %s: see ringhost ctl "
		       "--help",
		       word, parser->syntax->name);
	else
		rh_log(RH_LOG_ERROR, TAG,
		       "%s stands before the command; put it behind", word);
	return -EINVAL;
}

/* in_order: stop at the first word that is no option. */
static int parse_options(int argc, char **argv, bool in_order,
			 struct parser *parser)
{
	struct option long_options[ARRAY_SIZE(rows) + 1] = { 0 };
	int option;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		long_options[i] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].has_value,
			.val = FIRST_OPTION + (int)i,
		};
	optind = 0; /* anew, also after another command line */
	opterr = 0;
	while ((option = getopt_long(argc, argv,
				     in_order ? "+:hbn:d:" : ":hbn:d:",
				     long_options, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (option == ':') {
			rh_log(RH_LOG_ERROR, TAG, "%s needs a value", word);
			return -EINVAL;
		}
		if (option == '?') {
			rh_log(RH_LOG_ERROR, TAG,
			       "ctl has no option %s: see ringhost ctl --help",
			       word);
			return -EINVAL;
		}
		if (take_option(parser, option, word) < 0)
			return -EINVAL;
	}
	return 0;
}

static int take_args(int argc, char **argv, const struct ctl_syntax *syntax,
		     struct ctl_options *options)
{
	unsigned int nr = (unsigned int)(argc - optind);

	if (options->help)
		return 0;
	if (nr < syntax->min_args ||
	    nr > MIN(syntax->max_args, (unsigned int)CTL_MAX_ARGS)) {
		rh_log(RH_LOG_ERROR, TAG, "%s: give ringhost ctl %s%s%s",
		       syntax->name, syntax->name,
		       *syntax->arguments ? " " : "", syntax->arguments);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < nr; i++)
		options->args[i] = argv[optind + (int)i];
	options->nr_args = nr;
	return 0;
}

static int parse_command(int argc, char **argv,
			 const struct ctl_syntax *(*find)(const char *name),
			 struct parser *parser)
{
	if (!argc) {
		rh_log(RH_LOG_ERROR, TAG,
		       "ctl needs a command, such as list: see ringhost ctl "
		       "--help");
		return -EINVAL;
	}
	parser->syntax = find(argv[0]);
	if (!parser->syntax) {
		rh_log(RH_LOG_ERROR, TAG,
		       "ctl has no command %s: see ringhost ctl --help",
		       argv[0]);
		return -EINVAL;
	}
	parser->options->command = parser->syntax->name;
	if (parse_options(argc, argv, false, parser) < 0)
		return -EINVAL;
	return take_args(argc, argv, parser->syntax, parser->options);
}

static bool words_are_utf8(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (text_is_utf8(argv[i]))
			continue;
		rh_log(RH_LOG_ERROR, TAG,
		       "word %d of the command line is not UTF-8, in which the "
		       "daemon is spoken to",
		       i);
		return false;
	}
	return true;
}

int ctl_options_parse(int argc, char **argv,
		      const struct ctl_syntax *(*find)(const char *name),
		      struct ctl_options *ret)
{
	const char *socket = getenv("RINGHOST_SOCKET");
	struct ctl_options options = {
		.socket = socket && *socket ? socket : CTL_DEFAULT_SOCKET,
		.timeout_msec = CTL_DEFAULT_TIMEOUT_SEC * 1000,
		.queue = -1,
		.delay_msec = 2000,
	};
	struct parser parser = { .options = &options };

	if (!words_are_utf8(argc, argv))
		return -EINVAL;
	if (parse_options(argc, argv, true, &parser) < 0)
		return -EINVAL;
	if (!options.help &&
	    parse_command(argc - optind, argv + optind, find, &parser) < 0)
		return -EINVAL;
	*ret = options;
	return 0;
}
