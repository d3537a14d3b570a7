/* SPDX-License-Identifier: MIT */
/*
 * ctl - the command `ringhost ctl`: a client of the daemon's control socket
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/commands.h"

#define TAG	   "ringhost"
#define EXIT_USAGE 2

static const struct command {
	struct ctl_syntax syntax;
	int (*run)(struct ctl *ctl);
	bool without_daemon;
} commands[] = {
	{ { "add", "ID --image=FILE --socket=PATH", 1, 1, CTL_ADD }, ctl_add },
	{ { "doctor", "", 0, CTL_MAX_ARGS, CTL_USER }, ctl_doctor, true },
	{ { "drain", "ID", 1, 1 }, ctl_drain },
	{ { "events", "", 0, 0 }, ctl_events },
	{ { "libvirt-xml", "ID", 1, 1 }, ctl_libvirt_xml },
	{ { "limit", "ID NAME=N ..., or ID none", 2, CTL_MAX_ARGS },
	  ctl_limit },
	{ { "list", "", 0, 0 }, ctl_list },
	{ { "move", "ID [--queue=N] IOTHREAD ...", 2, CTL_MAX_ARGS, CTL_QUEUE },
	  ctl_move },
	{ { "pause", "ID", 1, 1 }, ctl_pause },
	{ { "raw", "'{\"execute\": ...}'", 1, 1 }, ctl_raw },
	{ { "reload", "", 0, 0 }, ctl_reload },
	{ { "remove", "ID [--hard]", 1, 1, CTL_HARD | CTL_KEEP_NODE },
	  ctl_remove },
	{ { "resize", "ID SIZE", 2, 2, CTL_SHRINK }, ctl_resize },
	{ { "resume", "ID", 1, 1 }, ctl_resume },
	{ { "show", "ID", 1, 1 }, ctl_show },
	{ { "stats", "[ID]", 0, 1, CTL_QUEUES }, ctl_stats },
	{ { "top", "", 0, 0, CTL_TOP | CTL_QUEUES }, ctl_top },
};

static const struct command *find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].syntax.name, name))
			return &commands[i];
	}
	return NULL;
}

static const struct ctl_syntax *find_syntax(const char *name)
{
	const struct command *command = find(name);

	return command ? &command->syntax : NULL;
}

int ctl_print_json(json_t *value)
{
	int error = json_dumpf(value, stdout, JSON_INDENT(2)) < 0 ? -EIO : 0;

	json_decref(value);
	putchar('\n');
	return error;
}

int ctl_done(const struct ctl *ctl, json_t *value)
{
	if (!value)
		return -EIO;
	if (ctl->options->json)
		return ctl_print_json(value);
	json_decref(value);
	return 0;
}

static int run(const struct command *command, const struct ctl_options *options)
{
	struct ctl ctl = { .options = options, .link.fd = -1 };
	int error = 0;

	if (!command->without_daemon)
		error = link_open(&ctl.link, options->socket,
				  options->timeout_msec);
	if (!error)
		error = command->run(&ctl);
	link_close(&ctl.link);
	return error;
}

int ctl_main(int argc, char **argv)
{
	struct ctl_options options;
	int error = 0;

	if (ctl_options_parse(argc, argv, find_syntax, &options) < 0)
		return EXIT_USAGE;
	if (options.help)
		fputs(ctl_options_help, stdout);
	else
		error = run(find(options.command), &options);
	if (error == -EINVAL)
		return EXIT_USAGE; /* of a value that only the command knows */
	if (fflush(stdout) != 0) {
		rh_log(RH_LOG_ERROR, TAG,
		       "cannot write what there is to say: "
		       "%s",
		       strerror(errno));
		error = -EIO;
	}
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
