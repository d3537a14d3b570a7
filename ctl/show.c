/* SPDX-License-Identifier: MIT */
/*
 * show - the disks of a daemon, as a table or one in full
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "ctl/commands.h"
#include "ctl/disks.h"
#include "ctl/reply.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "server/sizes.h"

/* The strings of an array, or names and numbers of an object, in one. */
static void join(json_t *values, char *ret, size_t nr_bytes)
{
	size_t used = 0;
	const char *name;
	json_t *value;
	size_t i;

	*ret = '\0';
	json_array_foreach(values, i, value)
	{
		if (used < nr_bytes)
			used += (size_t)snprintf(ret + used, nr_bytes - used,
						 "%s%s", i ? "," : "",
						 json_string_value(value));
	}
	json_object_foreach(values, name, value)
	{
		if (used < nr_bytes)
			used += (size_t)snprintf(ret + used, nr_bytes - used,
						 "%s%s=%" JSON_INTEGER_FORMAT,
						 used ? "," : "", name,
						 json_integer_value(value));
	}
	if (!*ret)
		snprintf(ret, nr_bytes, "-");
}

/* Those of its own, and "group" for each group whose limits it shares. */
static void join_limits(json_t *disk, char *ret, size_t nr_bytes)
{
	json_t *limits = json_object_get(disk, "limits");
	json_t *groups = json_object_get(disk, "groups");
	size_t used;
	json_t *group;
	size_t i;

	join(limits, ret, nr_bytes);
	used = json_object_size(limits) ? strlen(ret) : 0;
	json_array_foreach(groups, i, group)
	{
		if (used < nr_bytes)
			used += (size_t)snprintf(ret + used, nr_bytes - used,
						 "%sgroup=%s", used ? "," : "",
						 json_string_value(group));
	}
}

/* Who uses it: a process, somebody, or nobody. */
static void add_connection(struct table *table, json_t *disk)
{
	uint64_t pid = reply_number(disk, "pid");

	if (pid)
		table_add(table, "%" PRIu64, pid);
	else
		table_add(table, "%s",
			  reply_flag(disk, "connected") ? "yes" : "-");
}

static const char *image_of(json_t *disk)
{
	const char *image = reply_text(disk, "image");

	return *image ? image : reply_text(disk, "driver");
}

static void add_disk(struct table *table, json_t *disk)
{
	char text[1024];

	table_add(table, "%s", reply_text(disk, "id"));
	table_add(table, "%s", image_of(disk));
	table_add(table, "%s", sizes_format(reply_number(disk, "size")).text);
	table_add(table, "%s", reply_flag(disk, "writable") ? "rw" : "ro");
	table_add(table, "%s", reply_text(disk, "state"));
	add_connection(table, disk);
	table_add(table, "%" PRIu64, reply_number(disk, "queues"));
	join(json_object_get(disk, "iothreads"), text, sizeof(text));
	table_add(table, "%s", text);
	join_limits(disk, text, sizeof(text));
	table_add(table, "%s", text);
}

static int print_disks(json_t *disks)
{
	static const struct table_column columns[] = {
		{ "ID" },	    { "IMAGE" },       { "SIZE", true },
		{ "MODE" },	    { "STATE" },       { "PID", true },
		{ "QUEUES", true }, { "I/O THREADS" }, { "LIMITS" },
	};
	struct table table = { .columns = columns,
			       .nr_columns = ARRAY_SIZE(columns) };
	json_t *disk;
	size_t i;
	int error;

	json_array_foreach(disks, i, disk) add_disk(&table, disk);
	error = table_print(&table, stdout, 0, 0);
	table_deinit(&table);
	return error;
}

int ctl_list(struct ctl *ctl)
{
	json_t *disks = disks_get(&ctl->link);
	int error;

	if (!disks)
		return -EIO;
	if (ctl->options->json)
		return ctl_print_json(disks);
	error = print_disks(disks);
	json_decref(disks);
	return error;
}

static void print_line(const char *name, const char *value)
{
	printf("%-12s ", name);
	text_print(stdout, value);
	putchar('\n');
}

static void print_disk(json_t *disk)
{
	uint64_t bytes = reply_number(disk, "size");
	uint64_t pid = reply_number(disk, "pid");
	const char *socket = reply_text(disk, "socket");
	char text[1024];

	print_line("id", reply_text(disk, "id"));
	print_line("state", reply_text(disk, "state"));
	print_line("node", reply_text(disk, "node-name"));
	print_line("image", image_of(disk));
	printf("%-12s %s (%" PRIu64 " bytes)\n", "size",
	       sizes_format(bytes).text, bytes);
	print_line("mode",
		   reply_flag(disk, "writable") ? "read-write" : "read-only");
	print_line("cache", reply_flag(disk, "direct") ? "none" : "writeback");
	print_line("socket", *socket ? socket : "inherited");
	if (pid)
		printf("%-12s %" PRIu64 "\n", "pid", pid);
	printf("%-12s %" PRIu64 "\n", "queues", reply_number(disk, "queues"));
	join(json_object_get(disk, "iothreads"), text, sizeof(text));
	print_line("I/O threads", text);
	join_limits(disk, text, sizeof(text));
	print_line("limits", text);
}

int ctl_show(struct ctl *ctl)
{
	json_t *disk = disks_get_one(&ctl->link, ctl->options->args[0]);

	if (!disk)
		return -ENOENT;
	if (ctl->options->json)
		return ctl_print_json(disk);
	print_disk(disk);
	json_decref(disk);
	return 0;
}
