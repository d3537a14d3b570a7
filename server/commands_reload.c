/* SPDX-License-Identifier: MIT */
/*
 * commands_reload - the configuration files are read again by command
 */
#include "server/commands.h"
#include "server/reload.h"

void command_x_config_reload(struct daemon *daemon, struct qmp_call *call)
{
	static const char *const modes[] = { "safe", "hard", NULL };
	struct args args;
	bool hard;

	args_begin(&args, call->arguments, call->typed);
	hard = args_word(&args, "mode", modes, 0) == 1;
	if (args_end(&args) < 0)
		qmp_refuse(call, "%s", args.why);
	else if (!daemon->reload)
		qmp_refuse(call, "The daemon was started without --config");
	else
		reload_again(daemon->reload, hard, call);
}
