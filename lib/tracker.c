/* SPDX-License-Identifier: MIT */
/*
 * tracker - which guest memory a running queue has written
 *
 * Of the ring itself, the parts that the device writes: the used ring of a
 * split one, entry by entry; the descriptors that it has turned into used
 * ones of a packed one, and its event structure. Descriptors skipped between
 * two used ones are marked along with them: they share their pages.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/tracker.h"

/* One memory region, to be found by where it lies here */
struct place {
	uintptr_t host;
	uint64_t bytes;
	uint64_t guest;
};

/* The writable buffers of a chain as it was popped */
struct note {
	unsigned int nr;
	struct iovec *spill; /* not owned */
	struct iovec iov[RH_CHAIN_INLINE_IOV];
};

struct rh_tracker {
	struct rh_tracker_config config;
	bool data;     /* buffers are marked, not only the used ring */
	bool platform; /* the used ring's address is none of the guest's */
	struct rh_dirty_marks marks; /* nr_set: since the last signal */
	struct note *notes;	     /* one for each head */
	uint32_t first_given;	     /* what is being published */
	uint32_t nr_given;
	unsigned int nr_places;
	struct place places[]; /* by host */
};

/* Bytes of a part of the ring */
struct span {
	enum rh_ring_part_index part;
	uint64_t offset;
	uint64_t bytes;
};

/* Flags and index of a used ring, or a whole event structure */
static const struct span head = { RH_RING_DEVICE, 0, sizeof(struct le32) };

bool rh_tracker_wanted(const struct rh_dirty_log *log, uint64_t features,
		       bool log_used)
{
	return log && rh_dirty_log_exists(log) &&
	       (log_used || features & FEATURE_BIT(VHOST_F_LOG_ALL));
}

static void sort_in(struct rh_tracker *tracker, struct place place)
{
	unsigned int i = tracker->nr_places++;

	while (i && tracker->places[i - 1].host > place.host) {
		tracker->places[i] = tracker->places[i - 1];
		i--;
	}
	tracker->places[i] = place;
}

static void note_places(struct rh_tracker *tracker, const struct rh_map *map)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		const struct rh_region *region = &map->regions[i];

		sort_in(tracker, (struct place){
					 .host = (uintptr_t)region->host,
					 .bytes = region->guest_end -
						  region->guest_start,
					 .guest = region->guest_start,
				 });
	}
}

int rh_tracker_create(const struct rh_tracker_config *config,
		      struct rh_tracker **ret)
{
	uint32_t size = config->ring->size;
	struct rh_tracker *tracker;

	tracker = calloc(1,
			 sizeof(*tracker) + config->map->nr_regions *
						    sizeof(tracker->places[0]));
	if (!tracker)
		return -ENOMEM;
	tracker->notes = calloc(size, sizeof(*tracker->notes));
	if (!tracker->notes) {
		free(tracker);
		return -ENOMEM;
	}
	tracker->config = *config;
	tracker->data = config->features & FEATURE_BIT(VHOST_F_LOG_ALL);
	tracker->platform =
		config->features & FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	for (uint32_t i = 0; i < size; i++)
		tracker->notes[i].spill =
			config->spill + (size_t)i * RH_CHAIN_MAX_IOV;
	note_places(tracker, config->map);
	*ret = tracker;
	return 0;
}

void rh_tracker_destroy(struct rh_tracker *tracker)
{
	if (!tracker)
		return;
	if (tracker->marks.nr_skipped)
		rh_log_limited(tracker->config.limit, RH_LOG_WARNING,
			       tracker->config.tag,
			       "%" PRIu64 " writes to guest pages were not "
			       "logged",
			       tracker->marks.nr_skipped);
	free(tracker->notes);
	free(tracker);
}

static cold_code void tell_skipped(struct rh_tracker *tracker,
				   struct guest_addr guest)
{
	rh_log_limited(tracker->config.limit, RH_LOG_WARNING,
		       tracker->config.tag,
		       "a guest page at 0x%" PRIx64 " was written that lies "
		       "beyond the front-end's log of %" PRIu64 " bytes: it is "
		       "not marked, and a migration now would lose it",
		       guest.value, tracker->config.log->bitmap.bytes);
}

static void mark(struct rh_tracker *tracker, struct guest_addr guest,
		 uint64_t bytes)
{
	uint64_t before = tracker->marks.nr_skipped;

	rh_dirty_log_mark(tracker->config.log, guest, bytes, &tracker->marks);
	if (unlikely(!before && tracker->marks.nr_skipped))
		tell_skipped(tracker, guest);
}

/* The region that begins at or before host, or NULL. */
static const struct place *find(const struct rh_tracker *tracker,
				uintptr_t host)
{
	unsigned int low = 0;
	unsigned int high = tracker->nr_places;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (tracker->places[middle].host <= host)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &tracker->places[low - 1] : NULL;
}

/* bytes: in one region, as all that a queue writes is. */
static void mark_host(struct rh_tracker *tracker, const void *start,
		      uint64_t bytes)
{
	const struct place *place = find(tracker, (uintptr_t)start);
	uint64_t offset;

	if (!place)
		return;
	offset = (uintptr_t)start - place->host;
	if (offset >= place->bytes)
		return;
	mark(tracker, (struct guest_addr){ place->guest + offset },
	     MIN(bytes, place->bytes - offset));
}

static const uint8_t *part_host(const struct rh_ring *ring,
				enum rh_ring_part_index part)
{
	if (!ring->is_packed)
		return (const uint8_t *)ring->split.used;
	if (part == RH_RING_DESC)
		return (const uint8_t *)ring->packed.desc;
	return (const uint8_t *)ring->packed.device_event;
}

/*
 * The front-end says where the used ring is logged, since it need not lie
 * where the guest has it; in a packed ring that is the device's event
 * structure. With an IOMMU the address is one of the device's, which no page
 * of the log belongs to, and what counts is where the ring lies. Used
 * descriptors lie among the descriptors of a packed ring, for which there is
 * no address in the message at all.
 */
static void mark_span(struct rh_tracker *tracker, struct span span)
{
	const struct rh_tracker_config *config = &tracker->config;
	bool told = span.part == RH_RING_DEVICE && config->log_used;
	struct guest_addr addr;

	if (told && !tracker->platform) {
		if (add_overflows(config->used.value, span.offset, &addr.value))
			addr.value = UINT64_MAX;
		mark(tracker, addr, span.bytes);
	}
	if (config->ring->is_packed || (told && tracker->platform))
		mark_host(tracker,
			  part_host(config->ring, span.part) + span.offset,
			  span.bytes);
}

/* Where entry i of those that show what was used begins; i may be size. */
static uint64_t used_offset(const struct rh_ring *ring, uint32_t i)
{
	/* A used ring of i entries ends in an event index: there it is. */
	if (!ring->is_packed)
		return rh_split_used_bytes(i) - sizeof(struct le16);
	return rh_packed_desc_bytes(i);
}

/* How many entries the next rh_ring_publish() shows, and the first of them */
static uint32_t entries_given(const struct rh_ring *ring, uint32_t *first)
{
	if (ring->is_packed) {
		*first = ring->packed.first_given;
		return ring->packed.nr_given;
	}
	*first = ring->split.published & (ring->size - 1);
	return (uint16_t)(ring->split.next_used - ring->split.published);
}

/* nr entries from first on, around the end of the ring; 0: nothing */
static void mark_entries(struct rh_tracker *tracker, uint32_t first,
			 uint32_t nr)
{
	const struct rh_ring *ring = tracker->config.ring;
	enum rh_ring_part_index part =
		ring->is_packed ? RH_RING_DESC : RH_RING_DEVICE;

	while (nr) {
		uint32_t end = MIN(first + nr, ring->size);
		uint64_t from = used_offset(ring, first);
		uint64_t to = used_offset(ring, end);

		mark_span(tracker, (struct span){ part, from, to - from });
		nr -= end - first;
		first = 0;
	}
}

/* What the device writes to be kicked, or not to be */
static void mark_event(struct rh_tracker *tracker)
{
	const struct rh_ring *ring = tracker->config.ring;
	struct span span = head;

	if (!ring->is_packed && ring->split.event_idx)
		span = (struct span){ RH_RING_DEVICE,
				      used_offset(ring, ring->size),
				      sizeof(struct le16) };
	mark_span(tracker, span);
}

static void signal_marks(struct rh_tracker *tracker)
{
	if (!tracker->marks.nr_set)
		return;
	tracker->marks.nr_set = 0;
	rh_dirty_log_signal(tracker->config.log);
}

/* A start clears the flags, whatever else it does. */
void rh_tracker_started(struct rh_tracker *tracker)
{
	mark_span(tracker, head);
	signal_marks(tracker);
}

void rh_tracker_popped(struct rh_tracker *tracker, const struct rh_chain *chain)
{
	struct note *note = &tracker->notes[chain->index];

	if (!tracker->data)
		return;
	note->nr = chain->nr_writable;
	memcpy(note->nr > RH_CHAIN_INLINE_IOV ? note->spill : note->iov,
	       chain->writable, note->nr * sizeof(struct iovec));
}

void rh_tracker_ended(struct rh_tracker *tracker, uint16_t index)
{
	const struct note *note = &tracker->notes[index];
	const struct iovec *iov =
		note->nr > RH_CHAIN_INLINE_IOV ? note->spill : note->iov;

	for (unsigned int i = 0; i < note->nr; i++)
		mark_host(tracker, iov[i].iov_base, iov[i].iov_len);
}

void rh_tracker_publishing(struct rh_tracker *tracker)
{
	tracker->nr_given =
		entries_given(tracker->config.ring, &tracker->first_given);
}

void rh_tracker_published(struct rh_tracker *tracker)
{
	mark_entries(tracker, tracker->first_given, tracker->nr_given);
	if (tracker->nr_given && !tracker->config.ring->is_packed)
		mark_span(tracker, head);
	signal_marks(tracker);
}

void rh_tracker_kicks_changed(struct rh_tracker *tracker)
{
	mark_event(tracker);
	signal_marks(tracker);
}
