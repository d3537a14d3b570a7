/* SPDX-License-Identifier: MIT */
/*
 * log - the migration log of a whole server, under load
 *
 * The test migrates: it keeps a copy of guest memory, into which it copies
 * those pages only that the log names, while a driver keeps the disk busy. In
 * the end the two must be the same wherever the device has written last.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/dirty_log.h"

#define PAGE	     FE_LOG_PAGE_BYTES
#define DEPTH	     CLIENT_DEPTH
#define MIGRATE_MSEC 1500
#define MIN_PASSES   3
#define NR_SWITCHES  200

struct guest {
	struct client client;
	struct fe_dirty_log log;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_rounds;
	int error;
	uint8_t *copy; /* of region 0; NULL: none */
};

static int open_client(struct client *client, const struct server *server)
{
	uint64_t features = FE_USUAL_FEATURES;
	int error;

	memset(client, 0, sizeof(*client));
	if (client_rings_are_packed())
		features |= FE_FEATURE_PACKED;
	error = fe_session_connect(&client->session, server->socket);
	if (!error)
		error = fe_session_negotiate(&client->session, features,
					     FE_USUAL_PROTOCOL |
						     FE_PROTOCOL_LOG_SHMFD);
	if (!error)
		error = client_prepare(client, NULL);
	if (!error)
		error = client_start(client);
	return error;
}

/* A running disk whose requests all hold different data, and a log. */
static void open_guest(struct guest *guest, const struct server *server)
{
	struct client *client = &guest->client;

	memset(guest, 0, sizeof(*guest));
	assert_int_equal(open_client(client, server), 0);
	for (unsigned int i = 0; i < DEPTH; i++)
		client_fill(client->blks[0].slots[i].data, PAGE, i);
	assert_int_equal(fe_dirty_log_init(&guest->log,
					   fe_dirty_log_bytes(&client->memory)),
			 0);
}

static void close_guest(struct guest *guest)
{
	free(guest->copy);
	fe_dirty_log_deinit(&guest->log);
	client_close(&guest->client);
}

static void switch_on(struct guest *guest)
{
	struct fe_session *session = &guest->client.session;

	assert_int_equal(fe_session_log_data(session, true), 0);
	assert_int_equal(fe_session_log_vring(session, &guest->client.vrings[0],
					      true),
			 0);
}

static void switch_off(struct guest *guest)
{
	struct fe_session *session = &guest->client.session;

	assert_int_equal(fe_session_log_data(session, false), 0);
	assert_int_equal(fe_session_log_vring(session, &guest->client.vrings[0],
					      false),
			 0);
}

static void *load(void *opaque)
{
	struct guest *guest = opaque;

	while (!guest->error && !atomic_load(&guest->stop)) {
		guest->error = client_load(&guest->client, 0, 64);
		atomic_fetch_add(&guest->nr_rounds, 1);
	}
	return NULL;
}

static void begin_load(struct guest *guest)
{
	atomic_store(&guest->stop, false);
	assert_int_equal(pthread_create(&guest->thread, NULL, load, guest), 0);
}

static void end_load(struct guest *guest)
{
	atomic_store(&guest->stop, true);
	pthread_join(guest->thread, NULL);
	assert_int_equal(guest->error, 0);
	assert_true(atomic_load(&guest->nr_rounds) > 1);
}

/* Until the driver is through with two rounds of requests more. */
static void let_it_run(struct guest *guest)
{
	unsigned int nr = atomic_load(&guest->nr_rounds) + 2;
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (atomic_load(&guest->nr_rounds) < nr) {
		assert_true(fe_now_usec() < deadline);
		usleep(100);
	}
}

/*
 * A guest goes on writing while it is copied, and what was torn by that is
 * copied again: no race that a sanitizer should report.
 */
#define RACES_ON_PURPOSE __attribute__((no_sanitize("thread")))

RACES_ON_PURPOSE
static void copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
	const volatile uint64_t *word = (const uint64_t *)from;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		((volatile uint64_t *)to)[i] = word[i];
}

static void begin_migration(struct guest *guest)
{
	const struct fe_region *region = &guest->client.memory.regions[0];

	guest->copy = malloc(region->wire.size_bytes);
	assert_non_null(guest->copy);
	copy(guest->copy, region->host, region->wire.size_bytes);
}

/* The bit goes first, then the page. Returns how many pages there were. */
static unsigned int copy_marked(struct guest *guest, struct fe_dirty_log *log)
{
	const uint8_t *memory = guest->client.memory.regions[0].host;
	unsigned int nr = 0;

	for (uint64_t i = 0; i < log->bytes; i++) {
		uint8_t bits = fe_dirty_log_take(log, i);

		for (unsigned int bit = 0; bit < 8; bit++) {
			uint64_t at = (i * 8 + bit) * PAGE;

			if (!(bits & 1 << bit))
				continue;
			copy(guest->copy + at, memory + at, PAGE);
			nr++;
		}
	}
	return nr;
}

static void assert_same(const struct guest *guest, const char *what,
			uint64_t guest_addr, uint64_t bytes)
{
	const uint8_t *memory = guest->client.memory.regions[0].host;

	if (memcmp(memory + guest_addr, guest->copy + guest_addr, bytes) != 0)
		fail_msg("%s at 0x%llx is not as it was copied", what,
			 (unsigned long long)guest_addr);
}

/* Data, status bytes, and what the device writes of a ring */
static void assert_migrated(const struct guest *guest)
{
	const struct fe_vring *vring = &guest->client.vrings[0];

	for (unsigned int i = 0; i < DEPTH; i++) {
		const struct fe_blk_request *slot =
			&guest->client.blks[0].slots[i];
		uint64_t status = slot->data_addr +
				  (uint64_t)(slot->status_byte - slot->data);

		assert_same(guest, "data", slot->data_addr, PAGE);
		assert_same(guest, "a status byte", status, 1);
	}
	if (vring->is_packed)
		assert_same(guest, "the ring", vring->desc_addr,
			    vring->size * 16);
	else
		assert_same(guest, "the used ring", vring->used_addr,
			    4 + vring->size * 8);
}

/* Returns where the ring is to go on. */
static uint32_t stop_ring(struct guest *guest)
{
	uint32_t base = 0;

	assert_int_equal(fe_session_get_base(&guest->client.session, 0, &base),
			 0);
	return base;
}

/* The bits are taken out of the log under the back-end's hands. */
static void a_guest_migrates_under_load(void **state)
{
	uint64_t deadline = fe_deadline(MIGRATE_MSEC);
	unsigned int nr_copied = 0;
	struct guest guest;

	open_guest(&guest, *state);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	begin_load(&guest);
	let_it_run(&guest);
	switch_on(&guest);
	begin_migration(&guest);
	for (unsigned int i = 0; i < MIN_PASSES || fe_now_usec() < deadline;
	     i++) {
		let_it_run(&guest);
		nr_copied += copy_marked(&guest, &guest.log);
	}
	end_load(&guest);
	stop_ring(&guest);
	nr_copied += copy_marked(&guest, &guest.log);
	assert_migrated(&guest);
	assert_true(nr_copied > DEPTH);
	close_guest(&guest);
}

/* A front-end can also give a new log each time, and then read the old one. */
static void a_log_is_replaced_under_load(void **state)
{
	uint64_t deadline = fe_deadline(MIGRATE_MSEC);
	struct fe_dirty_log logs[2];
	unsigned int nr_passes = 0;
	struct guest guest;

	open_guest(&guest, *state);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fe_dirty_log_init(&logs[i], guest.log.bytes),
				 0);
	assert_int_equal(fe_session_set_log(&guest.client.session, &logs[1]),
			 0);
	begin_load(&guest);
	let_it_run(&guest);
	switch_on(&guest);
	begin_migration(&guest);
	for (; nr_passes < MIN_PASSES || fe_now_usec() < deadline;
	     nr_passes++) {
		struct fe_dirty_log *next = &logs[nr_passes % 2];
		struct fe_dirty_log *last = &logs[(nr_passes + 1) % 2];

		assert_int_equal(
			fe_session_set_log(&guest.client.session, next), 0);
		copy_marked(&guest, last);
		/* nobody marks in it any more */
		let_it_run(&guest);
		assert_int_equal(fe_dirty_log_count(last), 0);
	}
	end_load(&guest);
	stop_ring(&guest);
	for (int i = 0; i < 2; i++) {
		copy_marked(&guest, &logs[i]);
		fe_dirty_log_deinit(&logs[i]);
	}
	assert_migrated(&guest);
	close_guest(&guest);
}

/* S-45 */
static void nothing_is_marked_unless_it_was_asked_for(void **state)
{
	struct guest guest;

	open_guest(&guest, *state);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	assert_int_equal(client_load(&guest.client, 0, 200), 0);
	assert_int_equal(fe_dirty_log_count(&guest.log), 0);
	switch_on(&guest);
	assert_int_equal(client_load(&guest.client, 0, 200), 0);
	assert_true(fe_dirty_log_count(&guest.log) > 0);
	switch_off(&guest);
	fe_dirty_log_clear(&guest.log);
	assert_int_equal(client_load(&guest.client, 0, 200), 0);
	assert_int_equal(fe_dirty_log_count(&guest.log), 0);
	close_guest(&guest);
}

/* F-18, S-11 */
static void logging_is_switched_again_and_again_under_load(void **state)
{
	uint64_t deadline = fe_deadline(10000);
	struct guest guest;

	open_guest(&guest, *state);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	begin_load(&guest);
	for (int i = 0; i < NR_SWITCHES && fe_now_usec() < deadline; i++) {
		switch_on(&guest);
		switch_off(&guest);
	}
	let_it_run(&guest);
	end_load(&guest);
	close_guest(&guest);
}

/* F-10: a read marks its data, its status byte, its ring, and no other page */
static void exactly_the_pages_that_were_written_are_marked(void **state)
{
	struct guest guest;
	struct fe_blk_request *request;
	const struct fe_vring *vring;
	uint64_t ring;

	open_guest(&guest, *state);
	vring = &guest.client.vrings[0];
	ring = vring->is_packed ? vring->desc_addr : vring->used_addr;
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	switch_on(&guest);
	request = fe_blk_get(&guest.client.blks[0]);
	assert_non_null(request);
	request->type = VIRTIO_BLK_T_IN;
	request->sector = 8;
	request->data_bytes = 3 * PAGE;
	assert_int_equal(fe_blk_execute(request), 0);
	stop_ring(&guest);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(fe_dirty_log_has(&guest.log,
					     request->data_addr + i * PAGE));
	assert_true(fe_dirty_log_has(&guest.log, ring));
	/* where it asks for kicks may be a page of its own */
	assert_in_range(fe_dirty_log_count(&guest.log), 5, 6);
	fe_blk_put(request);
	close_guest(&guest);
}

/* As many reads as there are slots, not published yet */
static void add_reads(struct guest *guest,
		      struct fe_blk_request *requests[DEPTH])
{
	for (unsigned int i = 0; i < DEPTH; i++) {
		requests[i] = fe_blk_get(&guest->client.blks[0]);
		assert_non_null(requests[i]);
		requests[i]->type = VIRTIO_BLK_T_IN;
		requests[i]->sector = i * 8;
		requests[i]->data_bytes = PAGE;
		assert_int_equal(fe_blk_add(requests[i]), 0);
	}
}

/* Data and status of those that are done are marked, of no others. */
static void assert_done_is_marked(const struct guest *guest,
				  struct fe_blk_request *requests[DEPTH])
{
	for (unsigned int i = 0; i < DEPTH; i++) {
		bool done = *requests[i]->status_byte != FE_BLK_NO_STATUS;
		uint64_t data = requests[i]->data_addr;

		assert_int_equal(fe_dirty_log_has(&guest->log, data), done);
		assert_int_equal(fe_dirty_log_has(&guest->log, data + PAGE),
				 done);
	}
}

/* D-08 */
static void a_full_ring_is_marked_before_it_is_answered_as_stopped(void **state)
{
	struct fe_blk_request *requests[DEPTH];
	struct fe_vring *vring;
	struct guest guest;
	uint32_t base;

	open_guest(&guest, *state);
	vring = &guest.client.vrings[0];
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	assert_int_equal(fe_session_log_data(&guest.client.session, true), 0);
	for (int round = 0; round < 20; round++) {
		add_reads(&guest, requests);
		fe_dirty_log_clear(&guest.log);
		fe_vring_submit(vring);
		base = stop_ring(&guest);
		assert_done_is_marked(&guest, requests);
		assert_int_equal(fe_session_start_vring(&guest.client.session,
							vring, 0, base),
				 0);
		for (unsigned int i = 0; i < DEPTH; i++) {
			assert_int_equal(
				fe_blk_wait(requests[i], FE_PATIENCE_MSEC), 0);
			assert_int_equal(fe_blk_result(requests[i]), 0);
			fe_blk_put(requests[i]);
		}
	}
	close_guest(&guest);
}

/* The optional eventfd: something was marked. */
static void the_front_end_is_told_of_marks(void **state)
{
	struct guest guest;
	uint64_t count = 0;
	int fd = rh_eventfd_create();

	open_guest(&guest, *state);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	assert_int_equal(fe_session_set_log_fd(&guest.client.session, fd), 0);
	assert_int_equal(client_load(&guest.client, 0, 10), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	switch_on(&guest);
	assert_int_equal(client_load(&guest.client, 0, 10), 0);
	stop_ring(&guest);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_true(count >= 1);
	close_guest(&guest);
	rh_fd_close(&fd);
}

/* F-03, F-09, S-45: the old log stays in use, and the rings run on */
static void a_log_that_cannot_be_changes_nothing(void **state)
{
	struct guest guest;
	struct fe_session *session = &guest.client.session;
	uint64_t bytes;
	int fd;

	open_guest(&guest, *state);
	bytes = guest.log.bytes;
	fd = guest.log.fd;
	assert_int_equal(fe_session_set_log(session, &guest.log), 0);
	switch_on(&guest);
	begin_load(&guest);
	let_it_run(&guest);
	probe_expect("no bytes", 0, fe_session_ask_log_range(session, fd, 0, 0),
		     PROBE_NAK);
	probe_expect("a byte short of the memory", bytes - 1,
		     fe_session_ask_log_range(session, fd, bytes - 1, 0),
		     PROBE_NAK);
	probe_expect("a byte short of the file", bytes + 1,
		     fe_session_ask_log_range(session, fd, bytes + 1, 0),
		     PROBE_NAK);
	probe_expect("an odd offset", 1,
		     fe_session_ask_log_range(session, fd, bytes, 1),
		     PROBE_NAK);
	probe_expect("a size that wraps", 0,
		     fe_session_ask_log_range(session, fd, UINT64_MAX - 4095,
					      8192),
		     PROBE_NAK);
	probe_expect("no file", 0,
		     fe_session_ask_log_range(session, -1, bytes, 0),
		     PROBE_NAK);
	fe_dirty_log_clear(&guest.log);
	let_it_run(&guest);
	end_load(&guest);
	assert_true(fe_dirty_log_count(&guest.log) > 0);
	close_guest(&guest);
	probe_verdict();
}

/* F-09: served, skipped, and said in the log of the server, not written past */
static void memory_beyond_the_log_is_served_and_not_marked(void **state)
{
	const uint64_t above = UINT64_C(1) << 40;
	const struct server *server = *state;
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	struct fe_blk_request *request;
	struct fe_vring *vring;
	struct guest guest;
	uint8_t *byte;
	int region;

	open_guest(&guest, server);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	switch_on(&guest);
	vring = &guest.client.vrings[0];
	region = fe_memory_add(&guest.client.memory, above, 16 * PAGE);
	assert_true(region > 0);
	assert_int_equal(
		fe_session_add_region(&guest.client.session,
				      &guest.client.memory.regions[region]),
		0);
	request = fe_blk_get(&guest.client.blks[0]);
	assert_non_null(request);
	request->type = VIRTIO_BLK_T_IN;
	request->data_bytes = PAGE;
	assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
	pieces[1].guest_addr = above;
	byte = guest.client.memory.regions[region].host;
	*byte = 0xff;
	assert_true(fe_vring_add(vring, &buffers, request) >= 0);
	request->blk->nr_under_way++;
	fe_vring_submit(vring);
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(request), 0);
	assert_int_equal(*byte, 0);
	stop_ring(&guest);
	assert_int_equal(server_log_count(server, "beyond the front-end's log"),
			 1);
	close_guest(&guest);
	assert_int_equal(client_fresh_io(server), 0);
}

/* F-24 */
static void a_log_taken_back_under_load_ends_one_session(void **state)
{
	const struct server *server = *state;
	struct fe_blk_request *requests[DEPTH];
	struct guest guest;

	open_guest(&guest, server);
	assert_int_equal(fe_session_set_log(&guest.client.session, &guest.log),
			 0);
	switch_on(&guest);
	add_reads(&guest, requests);
	assert_int_equal(ftruncate(guest.log.fd, 0), 0);
	fe_vring_submit(&guest.client.vrings[0]);
	assert_int_equal(
		fe_wait_closed(guest.client.session.sock, FE_PATIENCE_MSEC), 0);
	close_guest(&guest);
	assert_int_equal(client_fresh_io(server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_guest_migrates_under_load),
		WITH_SERVER(a_log_is_replaced_under_load),
		WITH_SERVER(nothing_is_marked_unless_it_was_asked_for),
		WITH_SERVER(logging_is_switched_again_and_again_under_load),
		WITH_SERVER(exactly_the_pages_that_were_written_are_marked),
		WITH_SERVER(
			a_full_ring_is_marked_before_it_is_answered_as_stopped),
		WITH_SERVER(the_front_end_is_told_of_marks),
		WITH_SERVER(a_log_that_cannot_be_changes_nothing),
		WITH_SERVER(memory_beyond_the_log_is_served_and_not_marked),
		WITH_SERVER(a_log_taken_back_under_load_ends_one_session),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
