/* SPDX-License-Identifier: MIT */
/*
 * names - feature bits under the names of their documents
 */
#ifndef CHECK_NAMES_H
#define CHECK_NAMES_H

#include <stdint.h>

/* The name of the lowest bit that is set; a constant, "?" where unknown. */
const char *names_feature(uint64_t features);
const char *names_protocol(uint64_t protocol);

#endif
