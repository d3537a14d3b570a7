/* SPDX-License-Identifier: MIT */
/*
 * judge - knows what a disk may hold, from what its driver has seen
 *
 * A version is forgotten once no read and no failure can show it any more. So
 * a sector has few of them, and a stamp that is not among them is a violation;
 * which one is told from its sequence, and from what was seen there before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "tests/crash/judge.h"
#include "tests/crash/stamp.h"

#define NEVER	    UINT64_MAX
#define MAX_PRINTED 10

struct version {
	uint64_t sequence; /* when its write began; 0: the first zeroes */
	uint64_t ended;
	uint64_t replaced; /* the end of the first write to do so */
	bool is_buried;	   /* by a write that is durable */
	bool is_zeroes;
};

struct sector {
	struct version *versions;
	unsigned int nr;
	unsigned int nr_room;
	uint64_t seen; /* the highest sequence that was found here */
};

struct request {
	struct list_node link;
	uint64_t sequence;
	uint64_t ended;
	enum judge_op op;
	uint64_t sector;
	uint32_t nr_sectors;
};

struct judge {
	enum judge_cache cache;
	uint64_t clock;
	uint64_t nr_sectors;
	struct sector *sectors;
	struct list_node under_way;
	struct list_node not_durable; /* writes that ended */
	bool is_quiet;
	uint64_t nr_gone;
	uint64_t counts[JUDGE_NR_VIOLATIONS];
};

/* From where a sector is looked at, and so what may be seen. */
enum sight {
	FROM_DISK,
	FROM_MEDIUM,
	FROM_READ,
};

struct view {
	enum sight sight;
	uint64_t begun; /* of a read */
};

static const char *const names[JUDGE_NR_VIOLATIONS] = {
	[JUDGE_LOST_WRITE] = "acknowledged write lost",
	[JUDGE_OLD_RETURNED] = "replaced data came back",
	[JUDGE_SPENT] = "request executed after its completion",
	[JUDGE_TORN] = "torn sector",
	[JUDGE_ALIEN] = "data that was never written there",
	[JUDGE_LOST_REQUEST] = "request lost",
	[JUDGE_NOT_UNDER_WAY] = "completion of a request not under way",
};

const char *judge_violation_name(enum judge_violation kind)
{
	return names[kind];
}

uint64_t judge_count(const struct judge *judge, enum judge_violation kind)
{
	return judge->counts[kind];
}

uint64_t judge_count_all(const struct judge *judge)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < JUDGE_NR_VIOLATIONS; i++)
		sum += judge->counts[i];
	return sum;
}

uint64_t judge_count_gone(const struct judge *judge)
{
	return judge->nr_gone;
}

void judge_be_quiet(struct judge *judge)
{
	judge->is_quiet = true;
}

/* Count it; true if it is to be printed. */
static bool accuse(struct judge *judge, enum judge_violation kind)
{
	bool print = !judge->is_quiet && judge_count_all(judge) < MAX_PRINTED;

	judge->counts[kind]++;
	if (print)
		fprintf(stderr, "# %s: ", names[kind]);
	return print;
}

static void accuse_request(struct judge *judge, enum judge_violation kind,
			   uint64_t sequence)
{
	if (accuse(judge, kind))
		fprintf(stderr, "request %" PRIu64 " at %" PRIu64 "\n",
			sequence, judge->clock);
}

static struct version *add_version(struct sector *sector)
{
	if (sector->nr == sector->nr_room) {
		sector->nr_room = sector->nr_room ? 2 * sector->nr_room : 4;
		sector->versions =
			realloc(sector->versions,
				sector->nr_room * sizeof(*sector->versions));
		if (!sector->versions)
			abort();
	}
	return &sector->versions[sector->nr++];
}

static void set_only_version(struct sector *sector, uint64_t sequence,
			     uint64_t ended, bool is_zeroes)
{
	sector->nr = 0;
	*add_version(sector) = (struct version){
		.sequence = sequence,
		.ended = ended,
		.replaced = NEVER,
		.is_zeroes = is_zeroes,
	};
}

int judge_create(uint64_t nr_sectors, enum judge_cache cache,
		 struct judge **ret)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return -ENOMEM;
	judge->cache = cache;
	judge->nr_sectors = nr_sectors;
	list_init(&judge->under_way);
	list_init(&judge->not_durable);
	judge->sectors = calloc(nr_sectors, sizeof(*judge->sectors));
	if (!judge->sectors) {
		judge_destroy(judge);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < nr_sectors; i++)
		set_only_version(&judge->sectors[i], 0, 0, true);
	*ret = judge;
	return 0;
}

static void forget_requests(struct list_node *list)
{
	struct list_node *node;

	while ((node = list_take_first(list)))
		free(container_of(node, struct request, link));
}

void judge_destroy(struct judge *judge)
{
	if (!judge)
		return;
	forget_requests(&judge->under_way);
	forget_requests(&judge->not_durable);
	for (uint64_t i = 0; judge->sectors && i < judge->nr_sectors; i++)
		free(judge->sectors[i].versions);
	free(judge->sectors);
	free(judge);
}

/* Requests are appended as they begin. */
static uint64_t oldest_beginning(const struct judge *judge)
{
	if (list_empty(&judge->under_way))
		return NEVER;
	return container_of(judge->under_way.next, struct request, link)
		->sequence;
}

static void forget_versions(struct judge *judge, struct sector *sector)
{
	uint64_t oldest = oldest_beginning(judge);
	unsigned int nr = 0;

	for (unsigned int i = 0; i < sector->nr; i++) {
		const struct version *version = &sector->versions[i];

		if (!version->is_buried || version->replaced > oldest)
			sector->versions[nr++] = *version;
	}
	sector->nr = nr;
}

uint64_t judge_begin(struct judge *judge, enum judge_op op, uint64_t sector,
		     uint32_t nr_sectors)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		abort();
	*request = (struct request){
		.sequence = ++judge->clock,
		.ended = NEVER,
		.op = op,
		.sector = sector,
		.nr_sectors = op == JUDGE_FLUSH ? 0 : nr_sectors,
	};
	list_append(&judge->under_way, &request->link);
	for (uint32_t i = 0; op != JUDGE_READ && i < request->nr_sectors; i++) {
		struct sector *at = &judge->sectors[sector + i];

		forget_versions(judge, at);
		*add_version(at) = (struct version){
			.sequence = request->sequence,
			.ended = NEVER,
			.replaced = NEVER,
			.is_zeroes = op != JUDGE_WRITE,
		};
	}
	return request->sequence;
}

static struct request *find_request(struct judge *judge, uint64_t sequence)
{
	list_for_each(node, &judge->under_way) {
		struct request *request =
			container_of(node, struct request, link);

		if (request->sequence == sequence)
			return request;
	}
	return NULL;
}

/* Its own versions have ended as well. */
static void note_end(struct judge *judge, const struct request *request)
{
	for (uint32_t i = 0; i < request->nr_sectors; i++) {
		struct sector *at = &judge->sectors[request->sector + i];

		for (unsigned int k = 0; k < at->nr; k++) {
			if (at->versions[k].sequence == request->sequence)
				at->versions[k].ended = request->ended;
		}
	}
}

/* What ended before this write began is replaced; for good, if durable. */
static void replace(struct judge *judge, const struct request *request,
		    bool is_durable)
{
	for (uint32_t i = 0; i < request->nr_sectors; i++) {
		struct sector *at = &judge->sectors[request->sector + i];

		for (unsigned int k = 0; k < at->nr; k++) {
			struct version *version = &at->versions[k];

			if (version->ended >= request->sequence)
				continue;
			if (version->replaced == NEVER)
				version->replaced = request->ended;
			version->is_buried |= is_durable;
		}
	}
}

static void make_durable(struct judge *judge, uint64_t flush_began)
{
	list_for_each(node, &judge->not_durable) {
		struct request *request =
			container_of(node, struct request, link);

		if (request->ended > flush_began)
			continue;
		replace(judge, request, true);
		list_remove(node);
		free(request);
	}
}

void judge_end(struct judge *judge, uint64_t sequence, int result)
{
	struct request *request = find_request(judge, sequence);
	bool is_write;

	if (!request) {
		accuse_request(judge, JUDGE_NOT_UNDER_WAY, sequence);
		return;
	}
	request->ended = ++judge->clock;
	list_remove(&request->link);
	is_write =
		request->op == JUDGE_WRITE || request->op == JUDGE_WRITE_ZEROES;
	if (request->op != JUDGE_READ)
		note_end(judge, request);
	if (!result && is_write)
		replace(judge, request, judge->cache == JUDGE_WRITE_THROUGH);
	if (!result && request->op == JUDGE_FLUSH)
		make_durable(judge, request->sequence);
	if (!result && is_write && judge->cache == JUDGE_VOLATILE)
		list_append(&judge->not_durable, &request->link);
	else
		free(request);
}

static bool may_be_seen(const struct version *version, const struct view *view)
{
	switch (view->sight) {
	case FROM_DISK:
		return version->replaced == NEVER;
	case FROM_MEDIUM:
		return !version->is_buried;
	default:
		return version->replaced > view->begun;
	}
}

static bool is_it(const struct version *version, enum stamp_kind kind,
		  const struct stamp *stamp)
{
	if (kind == STAMP_ZEROES)
		return version->is_zeroes;
	return !version->is_zeroes && version->sequence == stamp->sequence;
}

/* The last version of this content that may be seen, or NULL. */
static const struct version *find_version(const struct sector *sector,
					  const struct view *view,
					  enum stamp_kind kind,
					  const struct stamp *stamp)
{
	for (unsigned int i = sector->nr; i-- > 0;) {
		const struct version *version = &sector->versions[i];

		if (is_it(version, kind, stamp) && may_be_seen(version, view))
			return version;
	}
	return NULL;
}

static enum judge_violation name_it(const struct judge *judge, uint64_t number,
				    enum stamp_kind kind,
				    const struct stamp *stamp)
{
	const struct sector *sector = &judge->sectors[number];

	if (kind == STAMP_BROKEN)
		return JUDGE_TORN;
	if (kind == STAMP_ZEROES)
		return sector->seen ? JUDGE_OLD_RETURNED : JUDGE_LOST_WRITE;
	if (stamp->sector != number || stamp->sequence > judge->clock)
		return JUDGE_ALIEN;
	return sector->seen > stamp->sequence ? JUDGE_OLD_RETURNED :
						JUDGE_LOST_WRITE;
}

static void accuse_sector(struct judge *judge, uint64_t number,
			  enum judge_violation violation, enum stamp_kind kind,
			  const struct stamp *stamp)
{
	const struct sector *sector = &judge->sectors[number];

	if (!accuse(judge, violation))
		return;
	fprintf(stderr, "sector %" PRIu64, number);
	if (kind == STAMP_ZEROES)
		fprintf(stderr, " holds zeroes");
	else
		fprintf(stderr,
			" holds write %" PRIu64 " by %" PRIu64 ":%" PRIu64
			" to %" PRIu64 "%s",
			stamp->sequence, stamp->writer >> 32,
			stamp->writer & UINT32_MAX, stamp->sector,
			stamp->is_spent ? ", spent" : "");
	fprintf(stderr, ", at %" PRIu64 "; known:", judge->clock);
	for (unsigned int i = 0; i < sector->nr; i++) {
		const struct version *version = &sector->versions[i];

		fprintf(stderr, " %s%" PRIu64 "-%" PRId64 ">%" PRId64 "%s",
			version->is_zeroes ? "0:" : "", version->sequence,
			(int64_t)version->ended, (int64_t)version->replaced,
			version->is_buried ? "!" : "");
	}
	fprintf(stderr, "\n");
}

/* What a sector holds is allowed: remember that it was there. */
static void note_sight(struct judge *judge, struct sector *sector,
		       const struct view *view, const struct version *version)
{
	sector->seen = MAX(sector->seen, version->sequence);
	if (view->sight == FROM_MEDIUM && version->replaced != NEVER)
		judge->nr_gone++;
}

/* Returns true if what the sector holds is allowed. */
static bool check_sector(struct judge *judge, uint64_t number,
			 const struct view *view, const void *data)
{
	struct sector *sector = &judge->sectors[number];
	const struct version *version = NULL;
	struct stamp stamp = { .sector = number };
	enum stamp_kind kind = stamp_read(data, &stamp);
	bool is_spent = kind == STAMP_WHOLE && stamp.is_spent;

	if (kind != STAMP_BROKEN && !is_spent && stamp.sector == number)
		version = find_version(sector, view, kind, &stamp);
	if (version) {
		note_sight(judge, sector, view, version);
		return true;
	}
	accuse_sector(judge, number,
		      is_spent ? JUDGE_SPENT :
				 name_it(judge, number, kind, &stamp),
		      kind, &stamp);
	return false;
}

static unsigned int check_run(struct judge *judge, uint64_t first, uint64_t nr,
			      const struct view *view, const void *data)
{
	unsigned int nr_wrong = 0;

	for (uint64_t i = 0; i < nr; i++)
		nr_wrong +=
			!check_sector(judge, first + i, view,
				      (const uint8_t *)data + i * STAMP_BYTES);
	return nr_wrong;
}

void judge_check_read(struct judge *judge, uint64_t sequence, const void *data)
{
	const struct request *request = find_request(judge, sequence);
	const struct view view = { .sight = FROM_READ, .begun = sequence };

	if (request)
		check_run(judge, request->sector, request->nr_sectors, &view,
			  data);
	else
		accuse_request(judge, JUDGE_NOT_UNDER_WAY, sequence);
}

unsigned int judge_check_disk(struct judge *judge, const void *disk)
{
	const struct view view = { .sight = FROM_DISK };

	return check_run(judge, 0, judge->nr_sectors, &view, disk);
}

unsigned int judge_check_medium(struct judge *judge, const void *disk)
{
	const struct view view = { .sight = FROM_MEDIUM };

	return check_run(judge, 0, judge->nr_sectors, &view, disk);
}

void judge_restart(struct judge *judge, const void *disk)
{
	forget_requests(&judge->under_way);
	forget_requests(&judge->not_durable);
	judge->clock++;
	for (uint64_t i = 0; i < judge->nr_sectors; i++) {
		struct stamp stamp = { 0 };
		enum stamp_kind kind = stamp_read(
			(const uint8_t *)disk + i * STAMP_BYTES, &stamp);

		set_only_version(&judge->sectors[i], stamp.sequence,
				 judge->clock, kind == STAMP_ZEROES);
		judge->sectors[i].seen = stamp.sequence;
	}
}

void judge_check_idle(struct judge *judge)
{
	list_for_each(node, &judge->under_way)
		accuse_request(
			judge, JUDGE_LOST_REQUEST,
			container_of(node, struct request, link)->sequence);
}
