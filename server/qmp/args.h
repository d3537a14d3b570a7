/* SPDX-License-Identifier: MIT */
/*
 * args - the arguments of a command, each with its type and its bounds
 *
 * A command takes each argument that it knows. What is missing, of another
 * type or out of range, and at the end what nobody has taken, is an error: the
 * first one is kept, and all that is taken after it is its default. So a
 * command takes everything and asks once, with args_end().
 *
 *	struct args args;
 *
 *	args_begin(&args, object, true);
 *	id = args_text(&args, "id", ARGS_NEEDED);
 *	size = args_number(&args, "size", ARGS_NEEDED, 0, INT64_MAX);
 *	if (args_end(&args) < 0)
 *		return refuse(args.why);
 *
 * Owner: the caller; one thread. What is returned lives as long as the object.
 */
#ifndef SERVER_QMP_ARGS_H
#define SERVER_QMP_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ARGS_WHY_BYTES 240
#define ARGS_MAX       32 /* that one command takes */

enum args_need {
	ARGS_OPTIONAL,
	ARGS_NEEDED,
};

struct args {
	json_t *object;
	bool typed; /* false: all values are strings, as keyval.h makes them */
	const char *prefix; /* "cache." for what is inside that, else "" */
	const char *taken[ARGS_MAX];
	unsigned int nr_taken;
	char why[ARGS_WHY_BYTES]; /* "" as long as nothing is wrong */
};

/* object: NULL for none. typed: its numbers are numbers, and so on. */
void args_begin(struct args *args, json_t *object, bool typed);

/* NULL if it is not there. */
const char *args_text(struct args *args, const char *name, enum args_need need);

bool args_flag(struct args *args, const char *name, bool otherwise);

/* Both bounds belong to it. otherwise: if it is not there. */
uint64_t args_number(struct args *args, const char *name, uint64_t min,
		     uint64_t max, uint64_t otherwise);

/* As a number, but a string may end with k, M, G or T. */
uint64_t args_size(struct args *args, const char *name, uint64_t min,
		   uint64_t max, uint64_t otherwise);

/*
 * The number of the word among names, which end with NULL; otherwise: if it
 * is not there.
 */
unsigned int args_word(struct args *args, const char *name,
		       const char *const *names, unsigned int otherwise);

bool args_has(const struct args *args, const char *name);

/* Whatever it is, counted as taken; NULL if it is not there. */
json_t *args_any(struct args *args, const char *name);

/*
 * An object inside: inner is for what is in it, and is ended with
 * args_leave(), which hands its error on. Returns false if it is not there.
 */
bool args_enter(struct args *args, const char *name, const char *prefix,
		struct args *inner);
void args_leave(struct args *args, struct args *inner);

/* An error that the caller has found; kept if it is the first. */
void args_refuse(struct args *args, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Returns 0, or -EINVAL with the first error in why. */
int args_end(struct args *args);

#endif
