/* SPDX-License-Identifier: MIT */
/*
 * command-line - a command line cut into words, and the sentence it gets
 *
 * For the tests of what parses one.
 */
#ifndef TESTS_UNIT_COMMAND_LINE_H
#define TESTS_UNIT_COMMAND_LINE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ringhost/log.h>

#define COMMAND_LINE_MAX_WORDS 32
#define COMMAND_LINE_BYTES     1024

/* One at a time: its words stay until the next one is made. */
struct command_line {
	int argc;
	char *argv[COMMAND_LINE_MAX_WORDS + 1]; /* up to a NULL */
	char words[COMMAND_LINE_BYTES];
	char logged[COMMAND_LINE_BYTES]; /* the last line since it was made */
	unsigned int nr_logged;
};

static inline void command_line_remember(void *opaque, enum rh_log_level level,
					 const char *tag, const char *line)
{
	struct command_line *command = opaque;

	(void)tag;
	assert_int_equal(level, RH_LOG_ERROR);
	snprintf(command->logged, sizeof(command->logged), "%s", line);
	command->nr_logged++;
}

/* Cut at blanks; from now on it remembers what is logged. */
static inline struct command_line *command_line(const char *words)
{
	static struct command_line command;
	char *next = command.words;
	char *word;

	memset(&command, 0, sizeof(command));
	snprintf(command.words, sizeof(command.words), "%s", words);
	while (command.argc < COMMAND_LINE_MAX_WORDS &&
	       (word = strsep(&next, " "))) {
		if (*word)
			command.argv[command.argc++] = word;
	}
	rh_log_set(command_line_remember, &command, RH_LOG_ERROR);
	return &command;
}

/* result: of the parser, 0 or -errno */
static inline void command_line_accepted(const struct command_line *command,
					 const char *words, int result)
{
	if (result)
		fail_msg("'%s' is refused: %s", words, command->logged);
	assert_int_equal(command->nr_logged, 0);
}

/* With one sentence, which has this part. */
static inline void command_line_refused(const struct command_line *command,
					const char *words, int result,
					const char *part)
{
	if (!result)
		fail_msg("'%s' is accepted", words);
	assert_int_equal(result, -EINVAL);
	assert_int_equal(command->nr_logged, 1);
	if (!strstr(command->logged, part))
		fail_msg("'%s' is refused with: %s", words, command->logged);
}

#endif
