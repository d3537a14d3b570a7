/* SPDX-License-Identifier: MIT */
/*
 * commands_throttle - disks, and groups of them, are limited by command
 *
 * What changes holds at once: the workers are told to look again at what waits.
 */
#include <string.h>

#include "common/base.h"
#include "server/commands.h"
#include "server/qmp/object_path.h"

static bool is_bytes(unsigned int field)
{
	return field / 3 >= THROTTLE_BPS_TOTAL &&
	       field / 3 <= THROTTLE_BPS_WRITE;
}

/* A limit that is taken away takes its burst with it. */
static void drop_bursts(const struct args *args, bool flat,
			struct throttle_limits *limits)
{
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++) {
		const char *max_name = throttle_field_name(3 * i + 1, flat);

		if (!limits->rates[i].avg && !args_has(args, max_name)) {
			limits->rates[i].max = 0;
			limits->rates[i].max_length = 1;
		}
	}
}

/* Those that are not given stay as they are. */
static void take_fields(struct args *args, bool flat,
			struct throttle_limits *limits)
{
	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++) {
		const char *name = throttle_field_name(i, flat);
		uint64_t *field = throttle_field(limits, i);

		*field = is_bytes(i) ? args_size(args, name, 0,
						 THROTTLE_MAX_VALUE, *field) :
				       args_number(args, name, 0,
						   THROTTLE_MAX_VALUE, *field);
	}
	drop_bursts(args, flat, limits);
}

static void check(struct args *args, const struct throttle_limits *limits)
{
	char why[THROTTLE_WHY_BYTES];

	if (throttle_limits_check(limits, why) < 0)
		args_refuse(args, "%s", why);
}

bool command_take_limits(struct args *args, const char *name,
			 const char *prefix, struct throttle_limits *limits)
{
	struct args inner;

	if (!args_enter(args, name, prefix, &inner))
		return false;
	take_fields(&inner, false, limits);
	check(&inner, limits);
	args_leave(args, &inner);
	return true;
}

json_t *command_limits(const struct throttle_limits *limits, bool all)
{
	struct throttle_limits none = THROTTLE_NO_LIMITS;
	struct throttle_limits copy = *limits;
	json_t *object = json_object();

	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++) {
		uint64_t value = *throttle_field(&copy, i);

		if (all || value != *throttle_field(&none, i))
			json_object_set_new(object,
					    throttle_field_name(i, false),
					    json_integer((json_int_t)value));
	}
	return object;
}

void command_add_throttle_group(struct daemon *daemon, struct args *args,
				struct qmp_call *call, const char *id)
{
	struct throttle_limits limits = THROTTLE_NO_LIMITS;

	take_fields(args, true, &limits);
	command_take_limits(args, "limits", "limits.", &limits);
	check(args, &limits);
	if (args_end(args) < 0)
		qmp_refuse(call, "%s", args->why);
	else
		command_end(call, throttle_groups_add(&daemon->throttle_groups,
						      id, &limits));
}

static bool is_used(struct daemon *daemon, const struct throttle_group *group)
{
	list_for_each(link, &daemon->nodes) {
		if (container_of(link, struct node, link)->throttle ==
		    group->throttle)
			return true;
	}
	return false;
}

void command_del_throttle_group(struct daemon *daemon, struct qmp_call *call,
				struct throttle_group *group)
{
	if (is_used(daemon, group)) {
		qmp_refuse(call,
			   "object '%s' is in use, can not be deleted: a "
			   "node of driver throttle stands on it",
			   group->id);
		return;
	}
	throttle_groups_remove(group);
	qmp_return(call, NULL);
}

static void have_all_look_again(struct daemon *daemon)
{
	list_for_each(node, &daemon->iothreads.list)
		worker_look_again(iothread_of(node)->worker);
}

/* The group that path names, of which there is one property. */
static struct throttle_group *take_group(struct daemon *daemon,
					 struct args *args)
{
	const char *path = args_text(args, "path", ARGS_NEEDED);
	const char *property = args_text(args, "property", ARGS_NEEDED);
	struct throttle_group *group = NULL;

	if (!path || !property)
		return NULL;
	group = throttle_groups_find(&daemon->throttle_groups,
				     object_path_id(path));
	if (!group)
		args_refuse(args, "there is no throttle-group '%.64s'", path);
	else if (strcmp(property, "limits") != 0)
		args_refuse(args,
			    "Property 'throttle-group.%.64s' not found: "
			    "there is 'limits'",
			    property);
	return group;
}

void command_qom_get(struct daemon *daemon, struct qmp_call *call)
{
	const struct throttle_group *group;
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	group = take_group(daemon, &args);
	if (args_end(&args) < 0)
		qmp_refuse(call, "%s", args.why);
	else
		qmp_return(call,
			   command_limits(throttle_get(group->throttle), true));
}

void command_qom_set(struct daemon *daemon, struct qmp_call *call)
{
	struct throttle_limits limits = THROTTLE_NO_LIMITS;
	struct throttle_group *group;
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	group = take_group(daemon, &args);
	if (group)
		limits = *throttle_get(group->throttle);
	if (!command_take_limits(&args, "value", "value.", &limits))
		args_refuse(&args, "Parameter 'value' is missing");
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	throttle_set(group->throttle, &limits);
	have_all_look_again(daemon);
	qmp_return(call, NULL);
}

void command_x_export_limit(struct daemon *daemon, struct qmp_call *call)
{
	struct throttle_limits limits = THROTTLE_NO_LIMITS;
	struct published *published = NULL;
	struct args args;
	const char *id;
	int error;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_NEEDED);
	if (id)
		published = exports_find(&daemon->exports, id);
	if (id && !published)
		args_refuse(&args, "Export '%.64s' is not found", id);
	if (!command_take_limits(&args, "limits", "limits.", &limits))
		args_refuse(&args, "Parameter 'limits' is missing");
	if (args_end(&args) < 0 || !published) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	error = export_set_limits(published->export, &limits);
	if (!error)
		have_all_look_again(daemon);
	command_end(call, error);
}

json_t *command_groups_of(struct daemon *daemon, const struct node *node)
{
	json_t *list = json_array();

	for (; node; node = node->base) {
		if (node->throttle)
			json_array_append_new(
				list,
				json_string(throttle_groups_of(
						    &daemon->throttle_groups,
						    node->throttle)
						    ->id));
	}
	return list;
}
