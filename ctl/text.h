/* SPDX-License-Identifier: MIT */
/*
 * text - what a terminal may be sent, and numbers as people read them
 *
 * Names, paths and sentences come from a daemon and from whoever named things
 * there. A control character among them could move the cursor, hide what is
 * printed or type for the user, so none reaches the output.
 *
 * Any thread.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_NUMBER_BYTES 24

struct text_number {
	char text[TEXT_NUMBER_BYTES];
};

/*
 * The text with control characters, those that change the direction of
 * writing, and bytes that are no UTF-8 written as \xNN or \uNNNN, and a
 * backslash as \\. To be freed; NULL without memory.
 */
char *text_escape(const char *text);

/* The same, printed. */
void text_print(FILE *file, const char *text);

/* The same, between XML's quotation marks or tags. */
void text_print_xml(FILE *file, const char *text);

/* False: it cannot be sent to a daemon, whose JSON is UTF-8. */
bool text_is_utf8(const char *text);

/* Columns of a terminal, where each character has one. */
unsigned int text_width(const char *escaped);

/* "0", "12.3", "999", "1.23k", "45.6M": three digits, and powers of 1000. */
struct text_number text_count(double count);

/* "0", "512", "1.50Ki", "23.4Mi": three digits, and powers of 1024. */
struct text_number text_bytes(double bytes);

/* "850ns", "12.3us", "1.20ms", "3.10s" */
struct text_number text_nsec(uint64_t nsec);

#endif
