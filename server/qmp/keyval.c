/* SPDX-License-Identifier: MIT */
/*
 * keyval - "driver=file,node-name=disk0,cache.direct=on" as a JSON object
 *
 * First all are put into objects, a number as a key like any other; where all
 * keys of an object are numbers from 0 on, it is an array, and is made one in
 * the end.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/qmp/keyval.h"

#define MAX_KEY_BYTES 128
#define MAX_DEPTH     8

struct keyval {
	const char *rest; /* of the text */
	const char *implied;
	char key[MAX_KEY_BYTES];
	char *value; /* room for all of the text */
	char *why;
};

static int complain(const struct keyval *keyval, const char *what,
		    const char *which)
{
	snprintf(keyval->why, KEYVAL_WHY_BYTES, "%s: '%.100s'", what, which);
	return -1;
}

static bool is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static int set_key(struct keyval *keyval, const char *key, size_t nr)
{
	if (nr == 0 || nr >= sizeof(keyval->key))
		return complain(keyval, "this begins with no name", key);
	for (size_t i = 0; i < nr; i++) {
		if (!is_key_char(key[i]))
			return complain(keyval, "this begins with no name",
					key);
	}
	memcpy(keyval->key, key, nr);
	keyval->key[nr] = '\0';
	return 0;
}

/* Up to the "="; the implied one where there is none. */
static int take_key(struct keyval *keyval)
{
	size_t nr = strcspn(keyval->rest, "=,");
	const char *key = keyval->rest;

	if (keyval->rest[nr] != '=' && keyval->implied) {
		snprintf(keyval->key, sizeof(keyval->key), "%s",
			 keyval->implied);
		return 0;
	}
	if (keyval->rest[nr] != '=')
		return complain(keyval, "a '=' is missing behind", key);
	keyval->rest += nr + 1;
	return set_key(keyval, key, nr);
}

/* Up to a comma that stands alone. */
static void take_value(struct keyval *keyval)
{
	const char *from = keyval->rest;
	char *to = keyval->value;

	while (*from && (*from != ',' || from[1] == ',')) {
		if (*from == ',')
			from++;
		*to++ = *from++;
	}
	*to = '\0';
	keyval->rest = *from ? from + 1 : from;
}

/* The object of a part of the key, made if it is not there. */
static json_t *step_into(json_t *object, const char *part)
{
	json_t *member = json_object_get(object, part);

	if (!member) {
		member = json_object();
		if (json_object_set_new(object, part, member) < 0)
			return NULL;
	}
	return json_is_object(member) ? member : NULL;
}

/* Two values of one name: the last one counts. */
static int store(struct keyval *keyval, json_t *object, const char *value)
{
	char *part = keyval->key;
	unsigned int depth = 0;

	for (char *dot; (dot = strchr(part, '.')); part = dot + 1) {
		*dot = '\0';
		object = *part && depth++ < MAX_DEPTH ?
				 step_into(object, part) :
				 NULL;
		*dot = '.';
		if (!object)
			return complain(keyval,
					"this name does not fit the "
					"others",
					keyval->key);
	}
	if (!*part || json_is_object(json_object_get(object, part)))
		return complain(keyval, "this name does not fit the others",
				keyval->key);
	if (json_object_set_new(object, part, json_string(value)) < 0)
		return complain(keyval, "this is no UTF-8", keyval->key);
	return 0;
}

static int fill(struct keyval *keyval, json_t *object)
{
	while (*keyval->rest) {
		if (take_key(keyval) < 0)
			return -1;
		keyval->implied = NULL; /* for the first one only */
		take_value(keyval);
		if (store(keyval, object, keyval->value) < 0)
			return -1;
	}
	return 0;
}

/* "0", "1", ...: NULL if it is none, or one has a gap. */
static json_t *array_of(json_t *object)
{
	size_t nr = json_object_size(object);
	json_t *array = json_array();
	char key[24];

	for (size_t i = 0; i < nr; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		if (json_array_append(array, json_object_get(object, key)) <
		    0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Depth is bounded by that of store(). */
static void make_arrays(json_t *object)
{
	const char *key;
	json_t *member;
	json_t *array;
	void *next;

	json_object_foreach_safe(object, next, key, member)
	{
		if (!json_is_object(member))
			continue;
		make_arrays(member);
		array = array_of(member);
		if (array)
			json_object_set_new(object, key, array);
	}
}

static json_t *parse_json(const char *text, char *why)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		snprintf(why, KEYVAL_WHY_BYTES, "this is no JSON: %.100s",
			 error.text);
	return object;
}

json_t *keyval_parse(const char *text, const char *implied, bool *typed,
		     char why[KEYVAL_WHY_BYTES])
{
	struct keyval keyval = { .rest = text, .implied = implied, .why = why };
	json_t *object;

	*typed = *text == '{';
	if (*typed)
		return parse_json(text, why);
	object = json_object();
	keyval.value = malloc(strlen(text) + 1);
	if (!object || !keyval.value) {
		snprintf(why, KEYVAL_WHY_BYTES, "out of memory");
		json_decref(object);
		object = NULL;
	} else if (fill(&keyval, object) < 0) {
		json_decref(object);
		object = NULL;
	} else {
		make_arrays(object);
	}
	free(keyval.value);
	return object;
}

int keyval_add(json_t *object, const char *name, const char *value,
	       char why[KEYVAL_WHY_BYTES])
{
	struct keyval keyval = { .why = why };

	if (set_key(&keyval, name, strlen(name)) < 0)
		return -1;
	return store(&keyval, object, value);
}

void keyval_end(json_t *object)
{
	make_arrays(object);
}
