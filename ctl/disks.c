/* SPDX-License-Identifier: MIT */
/*
 * disks - what a daemon serves, each disk with the image it stands on
 */
#include "ctl/disks.h"

#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/reply.h"
#include "ctl/text.h"

#define TAG "ringhost"

/* Limits that are in force, from wherever the daemon tells them. */
static json_t *limits_of(json_t *export)
{
	json_t *limits = json_object();
	json_t *value;
	const char *name;

	json_object_foreach(json_object_get(export, "x-limits"), name, value)
	{
		if (json_integer_value(value) > 0)
			json_object_set(limits, name, value);
	}
	return limits;
}

static const char *state_of(json_t *export)
{
	if (reply_flag(export, "shutting-down"))
		return "ends";
	if (reply_flag(export, "x-paused"))
		return "paused";
	return reply_flag(export, "x-connected") ? "connected" : "waits";
}

static json_t *strings_of(json_t *array)
{
	json_t *strings = json_array();
	json_t *element;
	size_t i;

	json_array_foreach(array, i, element)
	{
		if (json_is_string(element))
			json_array_append(strings, element);
	}
	return strings;
}

static json_t *describe(json_t *export, json_t *node)
{
	json_t *image = json_object_get(node, "image");
	json_t *cache = json_object_get(node, "cache");

	return json_pack(
		"{s:s,s:s,s:s,s:s,s:I,s:b,s:b,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:s}",
		"id", reply_text(export, "id"), "node-name",
		reply_text(export, "node-name"), "image",
		reply_text(node, "file"), "driver", reply_text(node, "drv"),
		"size", (json_int_t)reply_number(image, "virtual-size"),
		"writable",
		reply_flag(export, "x-writable") && !reply_flag(node, "ro"),
		"direct", reply_flag(cache, "direct"), "socket",
		reply_text(export, "x-path"), "connected",
		reply_flag(export, "x-connected"), "pid",
		(json_int_t)reply_number(export, "x-pid"), "queues",
		(json_int_t)reply_number(export, "x-num-queues"), "iothreads",
		strings_of(json_object_get(export, "x-iothreads")), "limits",
		limits_of(export), "groups",
		strings_of(json_object_get(export, "x-throttle-groups")),
		"state", state_of(export));
}

json_t *disks_get(struct link *link)
{
	json_t *exports = link_ask(link, "query-block-exports", NULL);
	json_t *nodes = NULL;
	json_t *disks = NULL;
	json_t *export;
	size_t i;

	if (exports)
		nodes = link_ask(link, "query-named-block-nodes",
				 json_pack("{s:b}", "flat", true));
	if (nodes)
		disks = json_array();
	json_array_foreach(exports, i, export)
	{
		const char *name = reply_text(export, "node-name");

		json_array_append_new(
			disks,
			describe(export, reply_find(nodes, "node-name", name)));
	}
	json_decref(nodes);
	json_decref(exports);
	return disks;
}

json_t *disks_get_one(struct link *link, const char *id)
{
	json_t *disks = disks_get(link);
	json_t *disk = json_incref(reply_find(disks, "id", id));

	if (disks && !disk) {
		cleanup_free char *escaped = text_escape(id);

		rh_log(RH_LOG_ERROR, TAG,
		       "there is no disk %s: ringhost ctl list shows those "
		       "that there are",
		       escaped ? escaped : "");
	}
	json_decref(disks);
	return disk;
}
