/* SPDX-License-Identifier: MIT */
/* ctl - `ringhost ctl` against a daemon under test */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/e2e/ctl.h"

#define WORDS_BYTES 1024
#define JSON_BYTES  4096

int ctl(struct daemon *daemon, const char *words, ...)
{
	char text[WORDS_BYTES];
	va_list args;

	va_start(args, words);
	vsnprintf(text, sizeof(text), words, args);
	va_end(args);
	return run("cd %s && %s ctl --socket=%s %s", daemon->server.dir,
		   program(), daemon->server.socket, text);
}

/* text: its quotation marks are made those of JSON. */
static json_t *parse(char *text)
{
	json_error_t why;
	json_t *value;

	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(text, JSON_DECODE_ANY, &why);
	if (!value)
		fail_msg("%s: %s", why.text, text);
	return value;
}

json_t *ctl_output(void)
{
	json_error_t why;
	json_t *value = json_loads(output, JSON_DECODE_ANY, &why);

	if (!value)
		fail_msg("this is no JSON (%s):\n%s", why.text, output);
	return value;
}

void ctl_tells(struct daemon *daemon, const char *words, const char *json, ...)
{
	char text[JSON_BYTES];
	json_t *expected;
	json_t *value;
	va_list args;

	va_start(args, json);
	vsnprintf(text, sizeof(text), json, args);
	va_end(args);
	expected = parse(text);
	expect(ctl(daemon, "--json %s", words), 0);
	value = ctl_output();
	if (!json_equal(value, expected))
		fail_msg("%s, not %s, prints:\n%s", words, text, output);
	json_decref(value);
	json_decref(expected);
}

void ctl_has(const char *members)
{
	char text[JSON_BYTES];
	json_t *expected;
	json_t *value = ctl_output();
	json_t *member;
	const char *name;

	snprintf(text, sizeof(text), "{%s}", members);
	expected = parse(text);
	json_object_foreach(expected, name, member)
	{
		if (!json_equal(json_object_get(value, name), member))
			fail_msg("'%s' is not so in:\n%s", name, output);
	}
	json_decref(value);
	json_decref(expected);
}
