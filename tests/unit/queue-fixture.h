/* SPDX-License-Identifier: MIT */
/*
 * queue-fixture - what the tests of queue share: a running queue, its log
 *
 * The queue runs without EVENT_IDX, with a call and an error fd of which the
 * fixture keeps the other ends, and every line that it logs is remembered.
 */
#ifndef TESTS_UNIT_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/ring-memory.h"

#define SIZE 8

struct fixture {
	struct ring_memory ring;
	uint64_t data; /* a page of guest memory */
	int call_fd;
	int err_fd;
	unsigned int nr_lines;
	char tag[64];
	char line[512];
};

static inline void fixture_remember(void *opaque, enum rh_log_level level,
				    const char *tag, const char *line)
{
	struct fixture *f = opaque;

	(void)level;
	f->nr_lines++;
	strncpy(f->tag, tag, sizeof(f->tag) - 1);
	strncpy(f->line, line, sizeof(f->line) - 1);
}

/* A running queue for the test that has this state. */
static inline int fixture_set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rh_log_set(fixture_remember, f, RH_LOG_WARNING);
	ring_init(&f->ring, SIZE);
	f->data = ring_alloc(&f->ring, 4096, 4096);
	f->call_fd = rh_eventfd_create();
	f->err_fd = rh_eventfd_create();
	rh_signal_fd_set(&f->ring.queue.call, dup(f->call_fd));
	rh_signal_fd_set(&f->ring.queue.err, dup(f->err_fd));
	ring_start(&f->ring, 0);
	*state = f;
	return 0;
}

static inline int fixture_tear_down(void **state)
{
	struct fixture *f = *state;

	ring_deinit(&f->ring);
	rh_fd_close(&f->call_fd);
	rh_fd_close(&f->err_fd);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	free(f);
	return 0;
}

/* What is in an eventfd; it is empty then. */
static inline uint64_t fixture_count(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static inline void fixture_add_request(struct fixture *f, uint16_t first)
{
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data, 4096, true },
		{ f->data, 1, true },
	};

	ring_add(&f->ring, first, buffers, 3);
}

/* A chain of one writable byte. */
static inline void fixture_add_status(struct fixture *f, uint16_t head)
{
	f->ring.desc[head] = ring_desc(f->data, 1, VIRTQ_DESC_F_WRITE, 0);
	ring_make_available(&f->ring, head);
}

static inline void fixture_push_all(struct fixture *f)
{
	struct rh_queue *queue = &f->ring.queue;

	for (uint16_t i = 0; i < SIZE; i++) {
		if (queue->slots[i].state == RH_SLOT_UNDER_WAY)
			rh_queue_push(queue, &queue->slots[i].chain, 0);
	}
}

/* Broken with these words: told once in the log, once on the error fd. */
static inline void fixture_assert_broken(struct fixture *f, const char *words)
{
	assert_true(rh_queue_broken(&f->ring.queue));
	assert_int_equal(fixture_count(f->err_fd), 1);
	assert_int_equal(f->nr_lines, 1);
	assert_string_equal(f->tag, "test/q0");
	if (!strstr(f->line, words))
		fail_msg("\"%s\" is not in \"%s\"", words, f->line);
}

/* The next pop breaks the queue, and the pop behind it says nothing new. */
static inline void fixture_assert_breaks(struct fixture *f, const char *words)
{
	struct rh_chain *chain = NULL;

	assert_true(rh_queue_pop(&f->ring.queue, &chain) < 0);
	fixture_assert_broken(f, words);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), -EPROTO);
	assert_int_equal(fixture_count(f->err_fd), 0);
	assert_int_equal(f->nr_lines, 1);
	assert_null(chain);
}

static inline void fixture_break(struct fixture *f)
{
	ring_store(&f->ring.avail->idx, SIZE + 1);
	fixture_assert_breaks(f, "");
}

#define QUEUE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

#endif
