/* SPDX-License-Identifier: MIT */
/*
 * args - the arguments of a command, each with its type and its bounds
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/qmp/args.h"
#include "server/sizes.h"

void args_begin(struct args *args, json_t *object, bool typed)
{
	*args = (struct args){ .object = object, .typed = typed, .prefix = "" };
	if (object && !json_is_object(object)) {
		args->object = NULL;
		args_refuse(args, "arguments must be an object");
	}
}

void args_refuse(struct args *args, const char *format, ...)
{
	va_list list;

	if (args->why[0])
		return;
	va_start(list, format);
	vsnprintf(args->why, sizeof(args->why), format, list);
	va_end(list);
}

static void refuse_type(struct args *args, const char *name, const char *takes)
{
	args_refuse(args, "Parameter '%s%s' takes %s", args->prefix, name,
		    takes);
}

bool args_has(const struct args *args, const char *name)
{
	return json_object_get(args->object, name) != NULL;
}

json_t *args_any(struct args *args, const char *name)
{
	if (args->nr_taken < ARRAY_SIZE(args->taken))
		args->taken[args->nr_taken++] = name;
	return json_object_get(args->object, name);
}

const char *args_text(struct args *args, const char *name, enum args_need need)
{
	json_t *value = args_any(args, name);

	if (!value && need == ARGS_NEEDED)
		args_refuse(args, "Parameter '%s%s' is missing", args->prefix,
			    name);
	else if (value && !json_is_string(value))
		refuse_type(args, name, "a string");
	return json_string_value(value);
}

bool args_flag(struct args *args, const char *name, bool otherwise)
{
	json_t *value = args_any(args, name);
	const char *text = json_string_value(value);

	if (!value)
		return otherwise;
	if (json_is_boolean(value))
		return json_is_true(value);
	if (!args->typed && text) {
		if (!strcmp(text, "on") || !strcmp(text, "yes") ||
		    !strcmp(text, "true") || !strcmp(text, "y"))
			return true;
		if (!strcmp(text, "off") || !strcmp(text, "no") ||
		    !strcmp(text, "false") || !strcmp(text, "n"))
			return false;
	}
	refuse_type(args, name, args->typed ? "true or false" : "on or off");
	return otherwise;
}

static int read_number(const struct args *args, json_t *value, bool is_size,
		       uint64_t *ret)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (!text || args->typed)
		return -EINVAL;
	if (is_size)
		return sizes_parse(text, ret);
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

static uint64_t take_number(struct args *args, const char *name, bool is_size,
			    const uint64_t bounds[2], uint64_t otherwise)
{
	json_t *value = args_any(args, name);
	uint64_t number;
	char takes[96];

	if (!value)
		return otherwise;
	if (read_number(args, value, is_size, &number) == 0 &&
	    number >= bounds[0] && number <= bounds[1])
		return number;
	snprintf(takes, sizeof(takes), "a %s from %llu to %llu",
		 is_size ? "size" : "number", (unsigned long long)bounds[0],
		 (unsigned long long)bounds[1]);
	refuse_type(args, name, takes);
	return otherwise;
}

uint64_t args_number(struct args *args, const char *name, uint64_t min,
		     uint64_t max, uint64_t otherwise)
{
	return take_number(args, name, false, (const uint64_t[]){ min, max },
			   otherwise);
}

uint64_t args_size(struct args *args, const char *name, uint64_t min,
		   uint64_t max, uint64_t otherwise)
{
	return take_number(args, name, true, (const uint64_t[]){ min, max },
			   otherwise);
}

unsigned int args_word(struct args *args, const char *name,
		       const char *const *names, unsigned int otherwise)
{
	const char *text = args_text(args, name, ARGS_OPTIONAL);
	char takes[128] = "one of";
	size_t nr = strlen(takes);

	if (!text)
		return otherwise;
	for (unsigned int i = 0; names[i]; i++) {
		if (!strcmp(text, names[i]))
			return i;
		nr += (size_t)snprintf(takes + nr, sizeof(takes) - nr, " %s",
				       names[i]);
		nr = MIN(nr, sizeof(takes) - 1);
	}
	refuse_type(args, name, takes);
	return otherwise;
}

bool args_enter(struct args *args, const char *name, const char *prefix,
		struct args *inner)
{
	json_t *value = args_any(args, name);

	args_begin(inner, NULL, args->typed);
	inner->prefix = prefix;
	if (!value)
		return false;
	if (!json_is_object(value)) {
		refuse_type(args, name, "an object");
		return false;
	}
	inner->object = value;
	return true;
}

void args_leave(struct args *args, struct args *inner)
{
	if (args_end(inner) < 0)
		args_refuse(args, "%s", inner->why);
}

static bool was_taken(const struct args *args, const char *name)
{
	for (unsigned int i = 0; i < args->nr_taken; i++) {
		if (!strcmp(args->taken[i], name))
			return true;
	}
	return false;
}

int args_end(struct args *args)
{
	const char *name;
	json_t *value;

	json_object_foreach(args->object, name, value)
	{
		if (!was_taken(args, name))
			args_refuse(args, "Parameter '%s%.64s' is unexpected",
				    args->prefix, name);
	}
	return args->why[0] ? -EINVAL : 0;
}
