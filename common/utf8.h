/* SPDX-License-Identifier: MIT */
/*
 * utf8 - where a character of a text ends
 *
 * For what is passed on to programs that insist on UTF-8, though nobody knows
 * what is in it. Any thread.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>

/*
 * The bytes of the character at text, 1 to 4, which ends with a NUL; 0 if what
 * is there is no UTF-8: a stray byte, one that lacks others, a longer form
 * than needed, half of a surrogate pair, or beyond U+10FFFF.
 */
size_t rh_utf8_length(const char *text);

#endif
