/* SPDX-License-Identifier: MIT */
/*
 * keyval - "driver=file,node-name=disk0,cache.direct=on" as a JSON object
 *
 * What the options of command lines are given in, as QEMU's programs take it:
 * dots make members of members, numbers between dots make arrays, ",," is a
 * comma in a value. All values become strings. A word that begins with "{" is
 * JSON as it stands.
 *
 * Any thread.
 */
#ifndef SERVER_QMP_KEYVAL_H
#define SERVER_QMP_KEYVAL_H

#include <jansson.h>
#include <stdbool.h>

#define KEYVAL_WHY_BYTES 160

/*
 * implied: key of a first value that has none, or NULL.
 * Returns the object (a new reference) with *typed set: true for JSON, whose
 * values have types; or NULL with a clause in why.
 */
json_t *keyval_parse(const char *text, const char *implied, bool *typed,
		     char why[KEYVAL_WHY_BYTES]);

/*
 * The same, value by value, for those who do not have them in one text:
 * a comma in a value is one. Returns 0, or -1 with a clause in why.
 */
int keyval_add(json_t *object, const char *name, const char *value,
	       char why[KEYVAL_WHY_BYTES]);

/* After the last one. */
void keyval_end(json_t *object);

#endif
