/* SPDX-License-Identifier: MIT */
/*
 * groups - the table of all groups of cases, in the order in which they run
 */
#include "check/groups.h"

const struct check_group *const check_groups[] = {
	&group_negotiation,   &group_messages, &group_fds,     &group_indices,
	&group_config,	      &group_memory,   &group_slots,   &group_states,
	&group_status,	      &group_split,    &group_chains,  &group_packed,
	&group_packed_chains, &group_requests, &group_framing, &group_ranges,
	&group_reconnect,     &group_inflight, &group_log,
};

const size_t check_nr_groups = ARRAY_SIZE(check_groups);
