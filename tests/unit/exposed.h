/* SPDX-License-Identifier: MIT */
/*
 * exposed - checks a text of metrics against the format's rules
 *
 * Those of the exposition format 0.0.4 and of promtool's check: each family
 * has one HELP and one TYPE before its samples, which stand together; names and
 * labels are well-formed; no sample comes twice; counters end in _total; the
 * buckets of a histogram grow up to +Inf, which is its count.
 */
#ifndef TESTS_UNIT_EXPOSED_H
#define TESTS_UNIT_EXPOSED_H

#define EXPOSED_WHY_BYTES 256

/* NULL, or what is wrong, with the line in why. text: is cut into lines. */
const char *exposed_check(char *text, char why[EXPOSED_WHY_BYTES]);

#endif
