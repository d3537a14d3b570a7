/* SPDX-License-Identifier: MIT */
/*
 * commands_handover - another daemon takes this one's place by command
 */
#include "server/commands.h"
#include "server/daemon_internal.h"

#define VERSION 1

void command_x_query_hand_over(struct daemon *daemon, struct qmp_call *call)
{
	json_t *monitors = json_array();

	list_for_each(link, &daemon->monitors) {
		const struct monitor *monitor = monitor_of(link);

		/* The other kind is passed to both by who started them. */
		if (monitor->path)
			json_array_append_new(monitors,
					      json_pack("{s:s,s:b}", "path",
							monitor->path, "pretty",
							monitor->pretty));
	}
	qmp_return(call,
		   json_pack("{s:i,s:I,s:o,s:o}", "version", VERSION,
			     "generation",
			     (json_int_t)daemon->journal.generation, "commands",
			     journal_commands(&daemon->journal), "monitors",
			     monitors));
}

void command_x_hand_over(struct daemon *daemon, struct qmp_call *call)
{
	struct args args;
	uint64_t generation;

	args_begin(&args, call->arguments, call->typed);
	if (!args_has(&args, "generation"))
		args_refuse(&args, "Parameter 'generation' is missing");
	generation = args_number(&args, "generation", 0, INT64_MAX, 0);
	if (args_end(&args) < 0)
		qmp_refuse(call, "%s", args.why);
	else if (generation != daemon->journal.generation)
		qmp_refuse(call, "There was a change since x-query-hand-over: "
				 "begin again");
	else
		giver_begin(&daemon->giver, call, generation);
}
