/* SPDX-License-Identifier: MIT */
/*
 * commands - what a client of the control socket can have done
 */
#include <string.h>

#include "common/base.h"
#include "server/commands.h"
#include "server/complaint.h"
#include "server/qmp/session.h"

static const struct row {
	const char *name;
	void (*run)(struct daemon *daemon, struct qmp_call *call);
	bool bare; /* takes no arguments */
} rows[] = {
	{ "block-export-add", command_block_export_add },
	{ "block-export-del", command_block_export_del },
	{ "block_resize", command_block_resize },
	{ "blockdev-add", command_blockdev_add },
	{ "blockdev-del", command_blockdev_del },
	{ "object-add", command_object_add },
	{ "object-del", command_object_del },
	{ "query-block-exports", command_query_block_exports, true },
	{ "query-blockstats", command_query_blockstats },
	{ "query-commands", command_query_commands, true },
	{ "query-iothreads", command_query_iothreads, true },
	{ "query-named-block-nodes", command_query_named_block_nodes },
	{ "query-version", command_query_version, true },
	{ "quit", command_quit, true },
	{ "x-config-reload", command_x_config_reload },
	{ "x-export-move", command_x_export_move },
	{ "x-query-stats", command_x_query_stats },
};

static bool refuse_arguments(struct qmp_call *call)
{
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	if (args_end(&args) == 0)
		return false;
	qmp_refuse(call, "%s", args.why);
	return true;
}

void commands_run(struct daemon *daemon, const char *name,
		  struct qmp_call *call)
{
	if (daemon->quitting) {
		qmp_refuse(call, "The daemon is about to end");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		if (rows[i].bare && refuse_arguments(call))
			return;
		complaint_begin();
		rows[i].run(daemon, call);
		return;
	}
	qmp_refuse_as(call, "CommandNotFound",
		      "The command %.64s has not been found", name);
}

void command_end(struct qmp_call *call, int error)
{
	if (error)
		qmp_refuse(call, "%s", complaint_text(error));
	else
		qmp_return(call, NULL);
}

void command_query_commands(struct daemon *daemon, struct qmp_call *call)
{
	json_t *list = json_array();

	(void)daemon;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		json_array_append_new(list,
				      json_pack("{s:s}", "name", rows[i].name));
	json_array_append_new(list,
			      json_pack("{s:s}", "name", "qmp_capabilities"));
	qmp_return(call, list);
}

void command_query_version(struct daemon *daemon, struct qmp_call *call)
{
	(void)daemon;
	qmp_return(call, qmp_version());
}

void command_quit(struct daemon *daemon, struct qmp_call *call)
{
	qmp_return(call, NULL);
	daemon_quit(daemon, "host-qmp-quit");
}
