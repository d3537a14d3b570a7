/* SPDX-License-Identifier: MIT */
/*
 * record - commands of clients that change what there is
 *
 * Such a command is carried out by a call of our own, whose answer is handed
 * on after what is to be done about it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/record.h"
#include "server/reload.h"

struct change {
	struct qmp_call call;
	struct qmp_call *outer; /* the client's */
	struct daemon *daemon;
	enum config_kind kind;
};

static const char *name_of(const struct change *change)
{
	return json_string_value(json_object_get(
		change->outer->arguments, config_verbs[change->kind].name));
}

static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why)
{
	struct change *change = container_of(call, struct change, call);

	if (value)
		reload_forget(change->daemon->reload, change->kind,
			      name_of(change));
	change->outer->answered(change->outer, value, class, why);
	free(change);
}

static void run_change(struct daemon *daemon, enum config_kind kind,
		       struct qmp_call *call)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change) {
		qmp_refuse(call, "out of memory");
		return;
	}
	*change = (struct change){
		.call = *call,
		.outer = call,
		.daemon = daemon,
		.kind = kind,
	};
	change->call.answered = answered;
	commands_run(daemon, config_verbs[kind].remove, &change->call);
}

void record_run(struct daemon *daemon, const char *name, struct qmp_call *call)
{
	for (size_t i = 0; i < CONFIG_NR_VERBS; i++) {
		if (!strcmp(config_verbs[i].remove, name)) {
			run_change(daemon, (enum config_kind)i, call);
			return;
		}
	}
	commands_run(daemon, name, call);
}
