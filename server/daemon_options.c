/* SPDX-License-Identifier: MIT */
/*
 * daemon_options - the command line of `ringhost daemon`
 *
 * That of qemu-storage-daemon for what there is: options are commands, carried
 * out one after the other, so that each finds what those before it have made.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/commands.h"
#include "server/daemon_internal.h"
#include "server/log_lines.h"
#include "server/qmp/keyval.h"

#define TAG "ringhost"

/* A command of the command line, until it is answered. */
struct line_call {
	struct qmp_call call;
	const char *option;
	const char *value;
	bool answered;
	int error;
};

/* What a secret is is not for the log. */
static bool may_be_secret(const char *option, const char *value)
{
	return !strcmp(option, "object") && strstr(value, "secret");
}

static const char *shown(const char *option, const char *value)
{
	return may_be_secret(option, value) ? "secret,..." : value;
}

static void line_answered(struct qmp_call *call, json_t *value,
			  const char *class, const char *why)
{
	struct line_call *line = container_of(call, struct line_call, call);

	(void)class;
	line->answered = true;
	line->error = value ? 0 : -EINVAL;
	json_decref(value);
	if (why)
		rh_log(RH_LOG_ERROR, TAG, "--%s %s: %s", line->option,
		       shown(line->option, line->value), why);
}

/* Returns the value as an object, or NULL (logged). */
static json_t *parse(const char *option, const char *value, const char *implied,
		     bool *typed)
{
	char why[KEYVAL_WHY_BYTES];
	json_t *object = keyval_parse(value, implied, typed, why);

	if (!object)
		rh_log(RH_LOG_ERROR, TAG, "--%s %s: %s", option,
		       shown(option, value),
		       may_be_secret(option, value) ?
			       "it is not understood, and not shown" :
			       why);
	return object;
}

static int run_command(struct daemon *daemon, const char *option,
		       const char *value, const char *command,
		       const char *implied)
{
	static struct line_call line; /* a start that is given up leaves it */
	json_t *object;
	int error;

	line = (struct line_call){
		.call.answered = line_answered,
		.option = option,
		.value = value,
	};
	object = parse(option, value, implied, &line.call.typed);
	if (!object)
		return -EINVAL;
	line.call.arguments = object;
	commands_run(daemon, command, &line.call);
	error = daemon_await(daemon, &line.answered, -1);
	if (error)
		return error;
	json_decref(object);
	return line.error;
}

static int take_blockdev(struct start *start, const char *value)
{
	return run_command(&start->daemon, "blockdev", value, "blockdev-add",
			   "driver");
}

static int take_export(struct start *start, const char *value)
{
	return run_command(&start->daemon, "export", value, "block-export-add",
			   "type");
}

static int take_object(struct start *start, const char *value)
{
	return run_command(&start->daemon, "object", value, "object-add",
			   "qom-type");
}

static int refuse_args(const char *option, const char *value,
		       const struct args *args)
{
	rh_log(RH_LOG_ERROR, TAG, "--%s %s: %s", option, value, args->why);
	return -EINVAL;
}

/* What the character device of a control socket has to be. */
static void take_socket(struct start *start, struct args *args,
			struct chardev *chardev)
{
	static const char *const backends[] = { "socket", NULL };
	const char *fd = args_text(args, "fd", ARGS_OPTIONAL);

	args_word(args, "backend", backends, 0);
	chardev->id = args_text(args, "id", ARGS_NEEDED);
	chardev->path =
		args_text(args, "path", fd ? ARGS_OPTIONAL : ARGS_NEEDED);
	if (fd && chardev->path)
		args_refuse(args, "Parameters 'path' and 'fd' exclude each "
				  "other");
	if (fd)
		chardev->passed = activation_find(&start->activation, fd);
	if (fd && !chardev->passed)
		args_refuse(args,
			    "Parameter 'fd': the service manager passes no "
			    "socket '%.64s'",
			    fd);
	if (!args_flag(args, "server", false))
		args_refuse(args, "Parameter 'server' has to be 'on': clients "
				  "connect to the daemon");
	if (args_flag(args, "wait", false))
		args_refuse(args,
			    "Parameter 'wait' has to be 'off': the daemon "
			    "does not wait for a client");
}

static int take_chardev(struct start *start, const char *value)
{
	struct chardev *chardev = &start->chardevs[start->nr_chardevs];
	struct args args;
	bool typed;

	if (start->nr_chardevs == ARRAY_SIZE(start->chardevs)) {
		rh_log(RH_LOG_ERROR, TAG, "--chardev: there are %u at most",
		       MAX_CHARDEVS);
		return -EINVAL;
	}
	chardev->object = parse("chardev", value, "backend", &typed);
	if (!chardev->object)
		return -EINVAL;
	start->nr_chardevs++;
	args_begin(&args, chardev->object, typed);
	take_socket(start, &args, chardev);
	return args_end(&args) < 0 ? refuse_args("chardev", value, &args) : 0;
}

static const struct chardev *find_chardev(const struct start *start,
					  const char *id)
{
	for (unsigned int i = 0; id && i < start->nr_chardevs; i++) {
		if (!strcmp(start->chardevs[i].id, id))
			return &start->chardevs[i];
	}
	return NULL;
}

static int take_monitor(struct start *start, const char *value)
{
	static const char *const modes[] = { "control", NULL };
	const struct chardev *chardev;
	struct args args;
	const char *id;
	bool typed;
	bool pretty;
	json_t *object = parse("monitor", value, "chardev", &typed);
	int error;

	if (!object)
		return -EINVAL;
	args_begin(&args, object, typed);
	id = args_text(&args, "chardev", ARGS_NEEDED);
	args_word(&args, "mode", modes, 0);
	pretty = args_flag(&args, "pretty", false);
	chardev = find_chardev(start, id);
	if (id && !chardev)
		args_refuse(&args,
			    "chardev \"%.64s\" not found: give it "
			    "before its monitor",
			    id);
	if (args_end(&args) < 0 || !chardev)
		error = refuse_args("monitor", value, &args);
	else if (chardev->passed)
		error = daemon_adopt_monitor(&start->daemon, chardev->passed,
					     pretty);
	else
		error = daemon_add_monitor(&start->daemon, chardev->path,
					   pretty);
	json_decref(object);
	return error;
}

static int take_log_format(struct start *start, const char *value)
{
	start->log_format_given = true;
	if (log_lines_set_format(value))
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "--log-format %s is refused: it takes text or json", value);
	return -EINVAL;
}

static int take_metrics(struct start *start, const char *value)
{
	if (start->metrics_of_files)
		start->nr_metrics = 0;
	start->metrics_of_files = false;
	if (start->nr_metrics == ARRAY_SIZE(start->metrics)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--metrics %s: there are %d such sockets at most", value,
		       MAX_METRICS);
		return -EINVAL;
	}
	start->metrics[start->nr_metrics++] = value;
	return 0;
}

static int take_nbd_server(struct start *start, const char *value)
{
	(void)start;
	(void)value;
	rh_log(RH_LOG_ERROR, TAG,
	       "--nbd-server: ringhost serves vhost-user-blk only; "
	       "qemu-storage-daemon or nbdkit serve NBD");
	return -EINVAL;
}

static int take_pidfile(struct start *start, const char *value)
{
	free(start->pidfile);
	start->pidfile = strdup(value);
	return start->pidfile ? 0 : -ENOMEM;
}

static int take_daemonize(struct start *start, const char *value)
{
	(void)value;
	start->daemonize = true;
	return 0;
}

static int refuse_value(const char *option, const char *value,
			const char *takes)
{
	rh_log(RH_LOG_ERROR, TAG, "--%s %s is refused: it takes %s", option,
	       value, takes);
	return -EINVAL;
}

static int take_aio(struct start *start, const char *value)
{
	if (strcmp(value, "io_uring") != 0 && strcmp(value, "threads") != 0)
		return refuse_value("aio", value, "io_uring or threads");
	start->engine = value[0] == 't' ? ENGINE_THREADS : ENGINE_URING;
	start->engine_given = true;
	return 0;
}

static int take_config(struct start *start, const char *value)
{
	start->config_option = value;
	return 0;
}

static int take_state_dir(struct start *start, const char *value)
{
	start->state_dir = value;
	return 0;
}

static int take_watch_size(struct start *start, const char *value)
{
	char *end;
	unsigned long seconds;

	errno = 0;
	seconds = strtoul(value, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*value) ||
	    seconds > SIZE_WATCH_MAX_SECONDS) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--watch-size %s is refused: it takes seconds, 0 to %d",
		       value, SIZE_WATCH_MAX_SECONDS);
		return -EINVAL;
	}
	start->watch_seconds = (unsigned int)seconds;
	return 0;
}

static int take_sandbox(struct start *start, const char *value)
{
	if (!strcmp(value, "auto"))
		start->sandbox = SANDBOX_AUTO;
	else if (!strcmp(value, "on"))
		start->sandbox = SANDBOX_ON;
	else if (!strcmp(value, "off"))
		start->sandbox = SANDBOX_OFF;
	else
		return refuse_value("sandbox", value, "auto, on or off");
	return 0;
}

static int take_allow_path(struct start *start, const char *value)
{
	int fd;

	if (start->nr_allowed == ARRAY_SIZE(start->allowed_fds)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--allow-path: there are %d at most: name a directory "
		       "above several of them",
		       MAX_ALLOWED_PATHS);
		return -EINVAL;
	}
	fd = open(value, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return refuse_value("allow-path", value,
				    "a directory, or an image, that is there");
	start->allowed_fds[start->nr_allowed++] = fd;
	return 0;
}

static int take_help(struct start *start, const char *value)
{
	(void)value;
	start->help = true;
	return 0;
}

static int take_take_over(struct start *start, const char *value)
{
	struct args args;
	bool typed;
	json_t *object = parse("take-over", value, "path", &typed);

	json_decref(start->take_over_object);
	start->take_over_object = object;
	if (!object)
		return -EINVAL;
	args_begin(&args, object, typed);
	start->take_over = args_text(&args, "path", ARGS_NEEDED);
	start->may_be_first = !args_flag(&args, "required", true);
	return args_end(&args) < 0 ? refuse_args("take-over", value, &args) : 0;
}

static int take_version(struct start *start, const char *value)
{
	(void)value;
	start->version = true;
	return 0;
}

static const struct option_row {
	const char *name;
	int (*take)(struct start *start, const char *value);
	enum daemon_stage stage;
	bool has_value;
	bool in_file; /* has a meaning in a configuration file, too */
} rows[] = {
	{ "aio", take_aio, DAEMON_EARLY, true, true },
	{ "allow-path", take_allow_path, DAEMON_EARLY, true, true },
	{ "blockdev", take_blockdev, DAEMON_MAIN, true },
	{ "chardev", take_chardev, DAEMON_MAIN, true },
	{ "config", take_config, DAEMON_FIRST, true },
	{ "daemonize", take_daemonize, DAEMON_EARLY, false },
	{ "export", take_export, DAEMON_MAIN, true },
	{ "help", take_help, DAEMON_FIRST, false },
	{ "log-format", take_log_format, DAEMON_FIRST, true, true },
	{ "metrics", take_metrics, DAEMON_EARLY, true, true },
	{ "monitor", take_monitor, DAEMON_LAST, true },
	{ "nbd-server", take_nbd_server, DAEMON_EARLY, true },
	{ "object", take_object, DAEMON_MAIN, true },
	{ "pidfile", take_pidfile, DAEMON_EARLY, true, true },
	{ "sandbox", take_sandbox, DAEMON_EARLY, true, true },
	{ "state-dir", take_state_dir, DAEMON_EARLY, true, true },
	{ "take-over", take_take_over, DAEMON_EARLY, true },
	{ "version", take_version, DAEMON_FIRST, false },
	{ "watch-size", take_watch_size, DAEMON_EARLY, true, true },
};

static const struct option_row *find_row(const char *word, size_t nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].name) == nr &&
		    !strncmp(rows[i].name, word, nr))
			return &rows[i];
	}
	return NULL;
}

static int refuse_word(const char *word)
{
	rh_log(RH_LOG_ERROR, TAG,
	       "%s is not an option of ringhost daemon: see ringhost daemon "
	       "--help",
	       word);
	return -EINVAL;
}

/* "--name value", "--name=value" or "--name"; *i moves behind it. */
static int take_word(struct start *start, int argc, char **argv, int *i,
		     enum daemon_stage stage)
{
	const char *word = argv[*i];
	const struct option_row *row;
	const char *value = NULL;
	size_t nr;

	if (strncmp(word, "--", 2) != 0)
		return refuse_word(word);
	nr = strcspn(word + 2, "=");
	row = find_row(word + 2, nr);
	if (!row)
		return refuse_word(word);
	if (word[2 + nr] == '=')
		value = word + 2 + nr + 1;
	else if (row->has_value && *i + 1 < argc)
		value = argv[++*i];
	++*i;
	if (row->has_value != (value != NULL)) {
		rh_log(RH_LOG_ERROR, TAG, "--%s %s", row->name,
		       row->has_value ? "needs a value" : "takes no value");
		return -EINVAL;
	}
	return row->stage == stage ? row->take(start, value) : 0;
}

int daemon_take_options(struct start *start, int argc, char **argv,
			enum daemon_stage stage)
{
	int error = 0;
	int i = 1;

	/* Who may not listen at one place may at another. */
	while (i < argc && (!error || stage == DAEMON_LAST)) {
		int outcome = take_word(start, argc, argv, &i, stage);

		error = error ? error : outcome;
	}
	return error;
}

int daemon_take_setting(struct start *start, const char *name,
			const char *value)
{
	const struct option_row *row = find_row(name, strlen(name));
	int error;

	if (row && row->in_file) {
		/* It was taken before the files were read. */
		if (row->take == take_log_format && start->log_format_given)
			return 0;
		error = row->take(start, value);
		start->metrics_of_files |= row->take == take_metrics;
		return error;
	}
	rh_log(RH_LOG_ERROR, TAG, "'%s' has no meaning in a configuration file",
	       name);
	return -EINVAL;
}
