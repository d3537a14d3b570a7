/* SPDX-License-Identifier: MIT */
/*
 * sample - what a daemon has counted up to a moment, and between two
 *
 * A lane is a queue of a disk, or all queues of a disk together. The lanes of
 * a disk stand behind one another, the one for all of it first.
 *
 * Owner: the caller; one thread.
 */
#ifndef CTL_SAMPLE_H
#define CTL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/link.h"
#include "ctl/spread.h"

#define SAMPLE_ALL (-1) /* in the place of a queue */

enum sample_kind {
	SAMPLE_READ,
	SAMPLE_WRITE,
	SAMPLE_FLUSH,
	SAMPLE_DISCARD,
	SAMPLE_WRITE_ZEROES,
	SAMPLE_OTHER,
	SAMPLE_NR_KINDS,
};

struct sample_lane {
	char *id;	/* of the disk */
	int queue;	/* SAMPLE_ALL: all of them */
	char *iothread; /* of the queue */
	uint64_t reads, writes, flushes, others, errors;
	uint64_t read_bytes, written_bytes;
	uint64_t under_way; /* now */
	struct spread latency[SAMPLE_NR_KINDS];
};

struct sample {
	struct sample_lane *lanes;
	size_t nr_lanes;
	uint64_t nsec; /* when it was taken; or how long it lasted */
};

/*
 * Ask for it. id: of one disk, or NULL. Returns the answer, a new reference;
 * NULL if none comes (logged).
 */
json_t *sample_ask(struct link *link, const char *id);

/* answer: that, of nsec. Returns 0 or -ENOMEM (logged). */
int sample_parse(const json_t *answer, uint64_t nsec, struct sample *ret);

void sample_deinit(struct sample *sample);

/* now becomes what happened since earlier; under_way stays that of now. */
void sample_subtract(struct sample *now, const struct sample *earlier);

/*
 * Whether a table may leave it out: a queue that no I/O thread runs, and that
 * has done nothing. A disk has as many queues as a front-end may ask for.
 */
bool sample_is_unused(const struct sample_lane *lane);

/* All kinds of requests together. Returns 0 or -ENOMEM. */
int sample_latency(const struct sample_lane *lane, struct spread *ret);

/* A second, of something that was counted over nsec. */
double sample_rate(uint64_t count, uint64_t nsec);

#endif
