/* SPDX-License-Identifier: MIT */
/*
 * groups - the table of all groups of cases, in the order in which they run
 *
 * A group is a file group_NAME.c, or two where it is long, whose last lines
 * are its table. A new group gets a file and a line in groups.c.
 */
#ifndef CHECK_GROUPS_H
#define CHECK_GROUPS_H

#include <stddef.h>

#include "check/case.h"

extern const struct check_group *const check_groups[];
extern const size_t check_nr_groups;

extern const struct check_group group_negotiation;
extern const struct check_group group_messages;
extern const struct check_group group_fds;
extern const struct check_group group_indices;
extern const struct check_group group_config;
extern const struct check_group group_memory;
extern const struct check_group group_slots;
extern const struct check_group group_states;
extern const struct check_group group_status;
extern const struct check_group group_split;
extern const struct check_group group_chains;
extern const struct check_group group_packed;
extern const struct check_group group_packed_chains;
extern const struct check_group group_requests;
extern const struct check_group group_framing;
extern const struct check_group group_ranges;
extern const struct check_group group_reconnect;
extern const struct check_group group_log;
extern const struct check_group group_inflight;

#endif
