/* SPDX-License-Identifier: MIT */
/*
 * ledger - which blocks of a range this run wrote, and which are in use
 */
#include "bench/ledger.h"

#include <errno.h>
#include <stdlib.h>

#define TAKEN (1u << 31)

int ledger_init(struct ledger *ledger, struct job_range range)
{
	*ledger = (struct ledger){
		.range = range,
		.entries = calloc(range.nr, sizeof(*ledger->entries)),
	};
	return ledger->entries ? 0 : -ENOMEM;
}

void ledger_deinit(struct ledger *ledger)
{
	free(ledger->entries);
	ledger->entries = NULL;
}

bool ledger_get(struct ledger *ledger, uint64_t *block)
{
	uint64_t first = *block - ledger->range.first;
	uint64_t i = first;

	while (ledger->entries[i] & TAKEN) {
		i = i + 1 < ledger->range.nr ? i + 1 : 0;
		if (i == first)
			return false;
	}
	ledger->entries[i] |= TAKEN;
	*block = ledger->range.first + i;
	return true;
}

void ledger_put(struct ledger *ledger, uint64_t block, uint32_t sequence)
{
	ledger->entries[block - ledger->range.first] = sequence & ~TAKEN;
}

uint32_t ledger_sequence(const struct ledger *ledger, uint64_t block)
{
	return ledger->entries[block - ledger->range.first] & ~TAKEN;
}

bool ledger_next_written(struct ledger *ledger, uint64_t *block)
{
	uint64_t i = ledger->cursor;

	/* one that is taken waits, and so does the end, for who has it */
	while (i < ledger->range.nr && !ledger->entries[i])
		i++;
	ledger->cursor = i;
	if (i == ledger->range.nr || ledger->entries[i] & TAKEN)
		return false;
	ledger->entries[i] |= TAKEN;
	ledger->cursor = i + 1;
	*block = ledger->range.first + i;
	return true;
}
