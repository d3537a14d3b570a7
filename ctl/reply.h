/* SPDX-License-Identifier: MIT */
/*
 * reply - members of what a daemon has answered, of the type they should be
 *
 * What is missing, or of another type, is empty: a daemon of another version
 * may leave out or add what it likes.
 *
 * Any thread. What is returned lives as long as the object.
 */
#ifndef CTL_REPLY_H
#define CTL_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* "" if it is not there. */
static inline const char *reply_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* 0 if it is not there, or negative. */
static inline uint64_t reply_number(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value > 0 ? (uint64_t)value : 0;
}

static inline bool reply_flag(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

/* The object of the array whose member of this name has this text; NULL. */
json_t *reply_find(const json_t *array, const char *name, const char *text);

#endif
