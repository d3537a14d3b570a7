/* SPDX-License-Identifier: MIT */
/*
 * change - a disk is changed while a guest uses it
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/commands.h"
#include "ctl/disks.h"
#include "ctl/reply.h"
#include "ctl/text.h"
#include "server/sizes.h"

#define TAG "ringhost"

/* Returns 0 with node and its size set. name: of a disk, or of a node. */
static int find_node(struct ctl *ctl, const char *name, char **node,
		     uint64_t *bytes)
{
	json_t *disks = disks_get(&ctl->link);
	json_t *nodes =
		disks ? link_ask(&ctl->link, "query-named-block-nodes", NULL) :
			NULL;
	json_t *disk = reply_find(disks, "id", name);
	const char *node_name = disk ? reply_text(disk, "node-name") : name;
	json_t *found = reply_find(nodes, "node-name", node_name);
	cleanup_free char *escaped = text_escape(name);

	if (nodes && !found)
		rh_log(RH_LOG_ERROR, TAG,
		       "there is neither a disk nor a node %s: ringhost ctl "
		       "list shows those that there are",
		       escaped ? escaped : "");
	*node = found ? strdup(node_name) : NULL;
	*bytes = reply_number(json_object_get(found, "image"), "virtual-size");
	json_decref(nodes);
	json_decref(disks);
	return *node ? 0 : -ENOENT;
}

static int refuse_size(const char *text)
{
	rh_log(RH_LOG_ERROR, TAG,
	       "%s is no size: give bytes, or a number with k, M, G or T "
	       "behind it, or + and how much more",
	       text);
	return -EINVAL;
}

/* text: a size, or a plus and how much more than old it is. */
static int parse_size(const char *text, uint64_t old, uint64_t *ret)
{
	bool is_more = *text == '+';
	uint64_t bytes;

	if (sizes_parse(text + is_more, &bytes) < 0 ||
	    add_overflows(bytes, is_more ? old : 0, &bytes) ||
	    bytes > INT64_MAX)
		return refuse_size(text);
	*ret = bytes;
	return 0;
}

static int check_shrinking(const struct ctl_options *options, uint64_t old,
			   uint64_t bytes)
{
	if (bytes >= old || options->shrink)
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "%s has %llu bytes: making it smaller destroys what is behind "
	       "the new end; --shrink does it all the same",
	       options->args[0], (unsigned long long)old);
	return -EINVAL;
}

int ctl_resize(struct ctl *ctl)
{
	const struct ctl_options *options = ctl->options;
	cleanup_free char *node = NULL;
	uint64_t bytes = 0;
	uint64_t old = 0;
	json_t *answer;
	int error;

	if (parse_size(options->args[1], 0, &bytes) < 0)
		return -EINVAL;
	error = find_node(ctl, options->args[0], &node, &old);
	if (!error)
		error = parse_size(options->args[1], old, &bytes);
	if (!error)
		error = check_shrinking(options, old, bytes);
	if (error)
		return error;
	answer = link_ask(&ctl->link, "block_resize",
			  json_pack("{s:s,s:I}", "node-name", node, "size",
				    (json_int_t)bytes));
	json_decref(answer);
	if (!answer)
		return -EIO;
	return ctl_done(ctl, json_pack("{s:s,s:I,s:I}", "node-name", node,
				       "size", (json_int_t)bytes, "old-size",
				       (json_int_t)old));
}

/* QEMU's names of limits; those of bytes take k, M, G and T. */
static const char *const limit_names[] = {
	"bps-read",
	"bps-read-max",
	"bps-read-max-length",
	"bps-total",
	"bps-total-max",
	"bps-total-max-length",
	"bps-write",
	"bps-write-max",
	"bps-write-max-length",
	"iops-read",
	"iops-read-max",
	"iops-read-max-length",
	"iops-size",
	"iops-total",
	"iops-total-max",
	"iops-total-max-length",
	"iops-write",
	"iops-write-max",
	"iops-write-max-length",
};

static bool is_limit(const char *word, size_t nr_bytes)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(limit_names); i++) {
		if (strlen(limit_names[i]) == nr_bytes &&
		    !strncmp(limit_names[i], word, nr_bytes))
			return true;
	}
	return false;
}

/* "iops-total=100" into limits */
static int take_limit(const char *word, json_t *limits)
{
	size_t nr_bytes = strcspn(word, "=");
	char name[32];
	uint64_t value;

	if (!word[nr_bytes] || !is_limit(word, nr_bytes)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is no limit: give NAME=N with iops-total, iops-read, "
		       "iops-write, bps-total, bps-read or bps-write, these "
		       "with -max or -max-length behind them, or iops-size; or "
		       "the word none",
		       word);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)nr_bytes, word);
	if (sizes_parse(word + nr_bytes + 1, &value) < 0 || value > INT64_MAX) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s: the limit is a number, which may end in k, M, G "
		       "or T",
		       word);
		return -EINVAL;
	}
	json_object_set_new(limits, name, json_integer((json_int_t)value));
	return 0;
}

static int take_limits(const struct ctl_options *options, json_t *limits)
{
	bool none = !strcmp(options->args[1], "none");
	int error = 0;

	if (none && options->nr_args > 2) {
		rh_log(RH_LOG_ERROR, TAG, "limit %s none stands alone",
		       options->args[0]);
		return -EINVAL;
	}
	for (unsigned int i = 1; !none && !error && i < options->nr_args; i++)
		error = take_limit(options->args[i], limits);
	return error;
}

int ctl_limit(struct ctl *ctl)
{
	const char *id = ctl->options->args[0];
	json_t *limits = json_object();
	json_t *answer;

	if (take_limits(ctl->options, limits) < 0) {
		json_decref(limits);
		return -EINVAL;
	}
	answer = link_ask(&ctl->link, "x-export-limit",
			  json_pack("{s:s,s:O}", "id", id, "limits", limits));
	json_decref(answer);
	if (!answer) {
		json_decref(limits);
		return -EIO;
	}
	return ctl_done(ctl,
			json_pack("{s:s,s:o}", "id", id, "limits", limits));
}

int ctl_move(struct ctl *ctl)
{
	const struct ctl_options *options = ctl->options;
	json_t *arguments =
		json_pack("{s:s,s:[]}", "id", options->args[0], "iothread");
	json_t *threads = json_object_get(arguments, "iothread");

	for (unsigned int i = 1; i < options->nr_args; i++)
		json_array_append_new(threads, json_string(options->args[i]));
	if (options->queue >= 0)
		json_object_set_new(arguments, "queue",
				    json_integer(options->queue));
	return ctl_done(ctl, link_ask(&ctl->link, "x-export-move", arguments));
}

/* A command of the daemon that needs nothing but the id. */
static int ask_about_id(struct ctl *ctl, const char *command)
{
	return ctl_done(
		ctl, link_ask(&ctl->link, command,
			      json_pack("{s:s}", "id", ctl->options->args[0])));
}

int ctl_pause(struct ctl *ctl)
{
	return ask_about_id(ctl, "x-export-pause");
}

int ctl_resume(struct ctl *ctl)
{
	return ask_about_id(ctl, "x-export-resume");
}

int ctl_drain(struct ctl *ctl)
{
	return ask_about_id(ctl, "x-export-drain");
}

static void print_changes(const json_t *report, const char *what)
{
	json_t *section;
	size_t i;

	json_array_foreach(json_object_get(report, what), i, section)
	{
		const char *name = json_string_value(section);

		printf("%-7s  ", what);
		text_print(stdout, name ? name : "?");
		putchar('\n');
	}
}

static void log_failure(const json_t *entry)
{
	cleanup_free char *file = text_escape(reply_text(entry, "file"));
	cleanup_free char *item = text_escape(reply_text(entry, "item"));
	cleanup_free char *why = text_escape(reply_text(entry, "why"));

	rh_log(RH_LOG_ERROR, TAG, "%s:%llu: [%s]: %s", file ? file : "",
	       (unsigned long long)reply_number(entry, "line"),
	       item ? item : "", why ? why : "");
}

/* What could not be done is told beside what was. */
int ctl_reload(struct ctl *ctl)
{
	json_t *report = link_ask(&ctl->link, "x-config-reload", NULL);
	json_t *failed = json_object_get(report, "failed");
	bool all = json_array_size(failed) == 0;
	json_t *entry;
	size_t i;
	int error;

	if (report && !ctl->options->json) {
		print_changes(report, "added");
		print_changes(report, "removed");
		print_changes(report, "changed");
	}
	json_array_foreach(failed, i, entry) log_failure(entry);
	error = ctl_done(ctl, report);
	return error || all ? error : -EIO;
}

/* As it is: the answer, be it an error or not, is printed whole. */
int ctl_raw(struct ctl *ctl)
{
	json_error_t why;
	json_t *object =
		json_loads(ctl->options->args[0], JSON_REJECT_DUPLICATES, &why);
	json_t *answer;
	bool failed;

	if (!json_is_object(object)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "raw takes a JSON object, such as "
		       "'{\"execute\": \"query-version\"}': %s",
		       object ? "this is none" : why.text);
		json_decref(object);
		return -EINVAL;
	}
	answer = link_ask_raw(&ctl->link, object);
	json_decref(object);
	if (!answer)
		return -EIO;
	failed = !json_object_get(answer, "return");
	return ctl_print_json(answer) || failed ? -EIO : 0;
}
