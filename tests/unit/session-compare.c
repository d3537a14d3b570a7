/* SPDX-License-Identifier: MIT */
/*
 * session-compare - do two devices hold the same session?
 *
 * What is blanked before bytes are compared is one of three: compared by hand,
 * each device's own, or only about who comes first.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/iotlb.h"
#include "tests/unit/session-compare.h"

#define INFO_BYTES 512

/* Two copies of a struct, as bytes, of which some are blanked in both. */
#define COPY(type, one, other)                                                 \
	type *copies[2] = { calloc(1, sizeof(type)),                           \
			    calloc(1, sizeof(type)) };                         \
	assert_non_null(copies[0]);                                            \
	assert_non_null(copies[1]);                                            \
	memcpy((void *)copies[0], (const void *)(one), sizeof(type));          \
	memcpy((void *)copies[1], (const void *)(other), sizeof(type))
#define BLANK(member)                                                          \
	do {                                                                   \
		memset((void *)&copies[0]->member, 0,                          \
		       sizeof(copies[0]->member));                             \
		memset((void *)&copies[1]->member, 0,                          \
		       sizeof(copies[1]->member));                             \
	} while (0)
#define REST_IS_SAME()                                                         \
	do {                                                                   \
		assert_memory_equal((const void *)copies[0],                   \
				    (const void *)copies[1],                   \
				    sizeof(*copies[0]));                       \
		free(copies[0]);                                               \
		free(copies[1]);                                               \
	} while (0)

/* Position, flags, inode, and the number of an eventfd with its count */
static void read_info(int fd, char info[INFO_BYTES])
{
	char path[64];
	ssize_t done;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	memset(info, 0, INFO_BYTES);
	done = read(file, info, INFO_BYTES - 1);
	assert_true(done > 0);
	close(file);
}

bool session_same_file(int one, int other)
{
	char infos[2][INFO_BYTES];

	if (one < 0 || other < 0)
		return one < 0 && other < 0;
	read_info(one, infos[0]);
	read_info(other, infos[1]);
	return !strcmp(infos[0], infos[1]);
}

static void compare_file(int one, int other)
{
	assert_true(session_same_file(one, other));
}

static void compare_signal(const struct rh_signal_fd *one,
			   const struct rh_signal_fd *other)
{
	compare_file(atomic_load(&one->number), atomic_load(&other->number));
}

/* One that waits for the IOTLB asks anew. */
static enum rh_queue_hold hold_of(const struct rh_queue *queue)
{
	return queue->hold == RH_HOLD_MISS ? RH_HOLD_NONE : queue->hold;
}

static void compare_queue(const struct rh_queue *one,
			  const struct rh_queue *other)
{
	COPY(struct rh_queue, one, other);

	assert_int_equal(hold_of(one), hold_of(other));
	compare_file(one->kick_fd, other->kick_fd);
	/* else it is one of the device's own, for messages */
	if (one->has_call)
		compare_signal(&one->call, &other->call);
	if (one->has_err)
		compare_signal(&one->err, &other->err);
	BLANK(hold);
	BLANK(kick_fd);
	BLANK(call);
	BLANK(err);
	BLANK(wake_fd);
	BLANK(log);
	BLANK(miss);
	BLANK(inflight);
	BLANK(iommu);
	BLANK(data);
	BLANK(log_limit);
	BLANK(why); /* told where it broke */
	REST_IS_SAME();
}

static void compare_incoming(const struct rh_incoming *one,
			     const struct rh_incoming *other)
{
	size_t header_bytes = MIN(one->nr_bytes, sizeof(one->header));

	assert_int_equal(one->nr_bytes, other->nr_bytes);
	assert_int_equal(one->nr_fds, other->nr_fds);
	if (one->nr_bytes)
		assert_memory_equal(&one->header, &other->header, header_bytes);
	if (one->nr_bytes > header_bytes)
		assert_memory_equal(one->payload, other->payload,
				    one->nr_bytes - header_bytes);
	for (unsigned int i = 0; i < one->nr_fds; i++)
		compare_file(one->fds[i], other->fds[i]);
}

static void compare_outgoing(const struct rh_outgoing *one,
			     const struct rh_outgoing *other)
{
	size_t bytes = one->end - one->begin;

	assert_int_equal(bytes, other->end - other->begin);
	if (bytes)
		assert_memory_equal(one->bytes + one->begin,
				    other->bytes + other->begin, bytes);
	compare_file(one->fd, other->fd);
	if (one->fd >= 0)
		assert_int_equal(one->fd_at - one->begin,
				 other->fd_at - other->begin);
}

static void compare_channel(const struct rh_channel *one,
			    const struct rh_channel *other)
{
	COPY(struct rh_channel, one, other);

	compare_file(one->fd, other->fd);
	compare_incoming(&one->answer, &other->answer);
	compare_outgoing(&one->outgoing, &other->outgoing);
	BLANK(fd);
	BLANK(answer);
	BLANK(outgoing);
	if (one->state != RH_CHANNEL_WAITING) {
		BLANK(asked);
		BLANK(brings_fd);
	}
	BLANK(tag);
	BLANK(owner);
	BLANK(limit);
	REST_IS_SAME();
}

static void compare_objects(const struct rh_objects *one,
			    const struct rh_objects *other)
{
	const struct rh_object_message *waiting;
	unsigned int nr = 0;

	/* lookups end where they began */
	for (unsigned int i = 0; (waiting = rh_objects_waiting(one, i)); i++) {
		if (waiting->request == VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP)
			continue;
		assert_non_null(rh_objects_waiting(other, nr));
		assert_memory_equal(waiting, rh_objects_waiting(other, nr),
				    sizeof(*waiting));
		nr++;
	}
	assert_int_equal(other->nr, nr);
}

static bool asks_about_queue(const struct rh_channel *channel)
{
	return channel->state == RH_CHANNEL_WAITING &&
	       (channel->asked == VHOST_USER_BACKEND_VRING_CALL ||
		channel->asked == VHOST_USER_BACKEND_VRING_ERR);
}

static void compare_outbox(const struct rh_outbox *one,
			   const struct rh_outbox *other)
{
	COPY(struct rh_outbox, one, other);

	compare_channel(&one->channel, &other->channel);
	compare_objects(&one->objects, &other->objects);
	if (asks_about_queue(&one->channel)) {
		assert_int_equal(one->told->index, other->told->index);
		assert_int_equal(one->speaker, other->speaker);
	}
	BLANK(channel);
	BLANK(objects);
	BLANK(told);
	BLANK(speaker);
	BLANK(session);
	BLANK(queues);
	BLANK(misses);
	BLANK(limit);
	/* an answer that nobody waits for any more */
	BLANK(asking);
	BLANK(question);
	BLANK(turn);
	BLANK(queue_turn);
	REST_IS_SAME();
}

static void compare_map(const struct rh_map *one, const struct rh_map *other)
{
	assert_int_equal(one->nr_regions, other->nr_regions);
	assert_int_equal(one->keeps_files, other->keeps_files);
	for (unsigned int i = 0; i < one->nr_regions; i++) {
		const struct rh_region *a = &one->regions[i];
		const struct rh_region *b = &other->regions[i];
		uint64_t offsets[2];

		assert_int_equal(a->guest_start, b->guest_start);
		assert_int_equal(a->guest_end, b->guest_end);
		assert_int_equal(a->frontend_start, b->frontend_start);
		compare_file(rh_region_file(a, &offsets[0]),
			     rh_region_file(b, &offsets[1]));
		assert_int_equal(offsets[0], offsets[1]);
	}
}

static void compare_range(const struct rh_range *one,
			  const struct rh_range *other)
{
	uint64_t offsets[2] = { 0 };

	assert_int_equal(one->bytes, other->bytes);
	compare_file(rh_range_file(one, &offsets[0]),
		     rh_range_file(other, &offsets[1]));
	assert_int_equal(offsets[0], offsets[1]);
}

static void compare_iotlb(const struct rh_session_state *one,
			  const struct rh_session_state *other)
{
	struct vhost_user_iotlb entries[2];
	bool is_there = true;

	for (unsigned int i = 0; is_there; i++) {
		is_there = rh_iotlb_entry(one->iotlb, one->map, i, &entries[0]);
		assert_int_equal(rh_iotlb_entry(other->iotlb, other->map, i,
						&entries[1]),
				 is_there);
		if (is_there)
			assert_memory_equal(&entries[0], &entries[1],
					    sizeof(entries[0]));
	}
}

static void compare_state(const struct rh_session_state *one,
			  const struct rh_session_state *other)
{
	COPY(struct rh_session_state, one, other);

	compare_map(one->map, other->map);
	compare_iotlb(one, other);
	compare_range(&one->log.bitmap, &other->log.bitmap);
	compare_file(one->log.event_fd, other->log.event_fd);
	compare_range(&one->inflight.range, &other->inflight.range);
	compare_outbox(&one->outbox, &other->outbox);
	for (unsigned int i = 0; i < one->session.nr_queues; i++)
		compare_queue(&one->queues[i], &other->queues[i]);
	assert_int_equal(one->postcopy.phase, other->postcopy.phase);
	if (one->transfer.state == RH_TRANSFER_NONE)
		BLANK(transfer.result);
	BLANK(map);
	BLANK(empty);
	BLANK(queues);
	BLANK(log);
	BLANK(inflight.range);
	BLANK(outbox);
	BLANK(postcopy);
	BLANK(limit);
	BLANK(iotlb);
	BLANK(misses);
	BLANK(config);
	REST_IS_SAME();
}

void session_assert_same(const struct rh_device *one,
			 const struct rh_device *other)
{
	COPY(struct rh_device, one, other);

	compare_state(&one->session, &other->session);
	compare_incoming(&one->incoming, &other->incoming);
	compare_outgoing(&one->outgoing, &other->outgoing);
	compare_file(one->connection, other->connection);
	compare_file(one->listen_fd, other->listen_fd);
	BLANK(session);
	BLANK(incoming);
	BLANK(outgoing);
	BLANK(connection);
	BLANK(listen_fd);
	BLANK(config);
	BLANK(epoll_fd);
	BLANK(wake_fd);
	BLANK(timer_fd);
	BLANK(limit);
	BLANK(session_limit);
	BLANK(queues);
	BLANK(inband);
	BLANK(close_error);
	BLANK(handover_wait_msec);
	REST_IS_SAME();
}
