/* SPDX-License-Identifier: MIT */
/* hostile-memory - memory that is replaced, missing, sealed, or ends early */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/attack.h"
#include "tests/frontend/clock.h"

#define MIB	     (UINT64_C(1) << 20)
#define PAGE	     4096u
#define DEPTH	     128u
#define DATA_ADDR    (64 * MIB)
#define DATA_BYTES   (DEPTH * PAGE)
#define CHANGES	     10000u
#define CHANGES_MSEC 2000
#define LOOK_MSEC    20 /* how long the end may go unnoticed */
#define NR_LOSSES    10u
#define OLD	     0x5a /* what nobody may write over */
#define ON_DISK	     0xa5

/* Reads of one page, each into its place in region 1, which comes and goes */
struct reader {
	struct client client;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_done;
	atomic_int error;
};

static int add_read(struct fe_blk *blk, unsigned int place)
{
	struct fe_blk_request *request = fe_blk_get(blk);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	int error;

	request->type = VIRTIO_BLK_T_IN;
	request->sector = place * (PAGE / 512);
	request->data_bytes = PAGE;
	request->user = (void *)(uintptr_t)place;
	error = fe_blk_cut(request, pieces, &buffers);
	if (error)
		return error;
	pieces[1].guest_addr = DATA_ADDR + place * PAGE;
	error = fe_vring_add(blk->vring, &buffers, request);
	if (error < 0)
		return error;
	blk->nr_under_way++;
	return 0;
}

static void *read_on(void *opaque)
{
	struct reader *reader = opaque;
	struct fe_blk *blk = &reader->client.blks[0];
	struct fe_blk_request *request;
	unsigned int place;
	int ret = 0;

	for (unsigned int i = 0; i < DEPTH && !ret; i++)
		ret = add_read(blk, i);
	while (!ret && !atomic_load(&reader->stop)) {
		fe_vring_submit(blk->vring);
		ret = fe_vring_wait(blk->vring, LOOK_MSEC);
		if (ret == -ETIMEDOUT)
			ret = 0;
		while (!ret && (ret = fe_blk_reap(blk, &request)) > 0) {
			place = (unsigned int)(uintptr_t)request->user;
			ret = fe_blk_result(request);
			fe_blk_put(request);
			if (!ret)
				ret = add_read(blk, place);
			atomic_fetch_add(&reader->nr_done, 1);
		}
	}
	atomic_store(&reader->error, ret);
	return NULL;
}

/* All that were under way are done, and as many again. */
static void let_it_read(struct reader *reader)
{
	unsigned int before = atomic_load(&reader->nr_done);
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (atomic_load(&reader->nr_done) - before < 2 * DEPTH) {
		assert_int_equal(atomic_load(&reader->error), 0);
		assert_true(fe_now_usec() < deadline);
		usleep(50);
	}
}

static void open_reader(struct reader *reader, const struct server *server)
{
	const struct client_options options = {
		.queue_size = DEPTH * 4,
		.depth = DEPTH,
		.data_bytes = PAGE,
	};
	struct client *client = &reader->client;
	uint8_t data[PAGE];

	memset(reader, 0, sizeof(*reader));
	assert_int_equal(client_connect(client, server, &options), 0);
	assert_int_equal(client_prepare(client, &options), 0);
	assert_int_equal(client_start(client), 0);
	memset(data, ON_DISK, sizeof(data));
	for (unsigned int i = 0; i < DEPTH; i++)
		assert_int_equal(fe_blk_write(&client->blks[0], i * 8, data,
					      sizeof(data)),
				 0);
}

/* The rings' region as ever, and DATA_BYTES of this file. */
static int show(struct reader *reader, int fd)
{
	const struct fe_region *ring = &reader->client.memory.regions[0];
	const int fds[] = { ring->fd, fd };
	struct fe_message message;

	fe_message_init(&message, FE_SET_MEM_TABLE, 72);
	message.payload.table.nr_regions = 2;
	message.payload.table.regions[0] = ring->wire;
	message.payload.table.regions[1] = (struct fe_wire_region){
		.guest_addr = DATA_ADDR,
		.size_bytes = DATA_BYTES,
		.user_addr = UINT64_C(1) << 46,
	};
	return fe_session_exchange(&reader->client.session, &message, fds, 2);
}

static bool holds(const uint8_t *bytes, uint8_t value)
{
	return bytes[0] == value && !memcmp(bytes, bytes + 1, DATA_BYTES - 1);
}

/* F-17, S-30, D-07: after the answer nobody touches the old pages */
static void no_page_is_touched_after_it_was_replaced(void **state)
{
	const unsigned int msec = hostile_volume(CHANGES_MSEC, 3600000);
	struct hostile *hostile = *state;
	uint64_t deadline = fe_deadline((int)msec);
	struct reader reader;
	uint8_t *pages[2];
	int fds[2];

	open_reader(&reader, &hostile->server);
	for (unsigned int i = 0; i < 2; i++) {
		fds[i] = rh_memfd_create("pages", DATA_BYTES);
		pages[i] = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE,
				MAP_SHARED, fds[i], 0);
		assert_ptr_not_equal(pages[i], MAP_FAILED);
	}
	assert_int_equal(show(&reader, fds[1]), 0);
	assert_int_equal(pthread_create(&reader.thread, NULL, read_on, &reader),
			 0);
	for (unsigned int i = 0; i < CHANGES && fe_now_usec() < deadline; i++) {
		assert_int_equal(show(&reader, fds[i % 2]), 0);
		memset(pages[1 - i % 2], OLD, DATA_BYTES);
		let_it_read(&reader);
		assert_true(holds(pages[1 - i % 2], OLD));
		assert_true(holds(pages[i % 2], ON_DISK));
	}
	atomic_store(&reader.stop, true);
	pthread_join(reader.thread, NULL);
	assert_int_equal(atomic_load(&reader.error), 0);
	client_close(&reader.client);
	for (unsigned int i = 0; i < 2; i++) {
		munmap(pages[i], DATA_BYTES);
		close(fds[i]);
	}
}

/*
 * F-24, S-26: the data's pages go, those of the rings stay. Requests fail, or
 * the session ends.
 */
static void data_pages_taken_back_harm_one_session(void **state)
{
	const unsigned int nr = hostile_volume(NR_LOSSES, 1000);
	struct hostile *hostile = *state;
	struct reader reader;

	for (unsigned int i = 0; i < nr; i++) {
		cleanup_close int fd = rh_memfd_create("pages", DATA_BYTES);

		open_reader(&reader, &hostile->server);
		assert_int_equal(show(&reader, fd), 0);
		assert_int_equal(pthread_create(&reader.thread, NULL, read_on,
						&reader),
				 0);
		let_it_read(&reader);
		assert_int_equal(ftruncate(fd, 0), 0);
		while (!atomic_load(&reader.error) &&
		       fe_wait_closed(reader.client.session.sock, LOOK_MSEC))
			assert_true(server_runs(&hostile->server));
		atomic_store(&reader.stop, true);
		pthread_join(reader.thread, NULL);
		client_close(&reader.client);
		assert_true(hostile_check(hostile));
	}
}

/* F-24, S-26: a hole in rings, tables, headers and data is full of zeroes. */
static void holes_in_memory_harm_one_session(void **state)
{
	const unsigned int nr = hostile_volume(NR_LOSSES, 1000);
	struct hostile *hostile = *state;
	struct attack attack;
	int fd;

	for (unsigned int i = 0; i < nr; i++) {
		attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
		fd = attack.client.memory.regions[0].fd;
		assert_int_equal(fallocate(fd,
					   FALLOC_FL_PUNCH_HOLE |
						   FALLOC_FL_KEEP_SIZE,
					   0, 4 << 20),
				 0);
		fe_vring_kick(&attack.client.vrings[0]);
		assert_int_equal(fe_session_sync(&attack.client.session), 0);
		attack_end(&attack);
		assert_true(hostile_check(hostile));
	}
}

/* Regions of a client that meet in the guest at BORDER, and nowhere else */
#define BORDER (DATA_ADDR + MIB)
#define END    (DATA_ADDR + 2 * MIB)

static void open_with_border(struct client *client, const struct server *server)
{
	assert_int_equal(client_connect(client, server, NULL), 0);
	assert_int_equal(client_prepare(client, NULL), 0);
	assert_int_equal(fe_memory_add(&client->memory, DATA_ADDR, MIB), 1);
	assert_int_equal(fe_memory_add(&client->memory, BORDER, MIB), 2);
	assert_int_equal(client_start(client), 0);
}

/*
 * A read whose header and status lie where it is said; status 0: the usual
 * place. Returns 0, or -EPIPE when the ring broke.
 */
static int read_with(struct client *client, uint64_t header, uint64_t status)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request = fe_blk_get(blk);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	uint8_t *byte;
	int error;

	request->data_bytes = PAGE;
	assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
	/* all zeroes is a read of sector 0, and so is what lies there */
	pieces[0].guest_addr = header;
	if (status)
		pieces[2].guest_addr = status;
	assert_true(fe_vring_add(blk->vring, &buffers, request) >= 0);
	blk->nr_under_way++;
	fe_vring_submit(blk->vring);
	error = fe_blk_wait(request, FE_PATIENCE_MSEC);
	if (error)
		return error;
	byte = status ? fe_memory_pointer(&client->memory, status, 1) : NULL;
	if (byte)
		request->status = *byte;
	fe_blk_put(request);
	return fe_blk_result(request);
}

/* F-01: header and status up to the last byte, and not one byte more */
static void headers_and_status_bytes_may_lie_at_each_end(void **state)
{
	struct hostile *hostile = *state;
	struct client client;
	int outcome;

	open_with_border(&client, &hostile->server);
	for (uint64_t before = 0; before <= FE_BLK_HEADER_BYTES; before++)
		assert_int_equal(read_with(&client, BORDER - before, 0), 0);
	assert_int_equal(read_with(&client, END - 16, END - 1), 0);
	client_close(&client);

	open_with_border(&client, &hostile->server);
	/* as a bad chain whose status can be reached, or not at all */
	outcome = read_with(&client, END - 15, 0);
	assert_true(outcome == -EPIPE || outcome == -EIO);
	client_close(&client);
	open_with_border(&client, &hostile->server);
	assert_int_equal(read_with(&client, BORDER, END), -EPIPE);
	client_close(&client);
}

/* S-28: memory that nobody can take back works as well as any other */
static void sealed_memory_is_as_good(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct hostile *hostile = *state;
	cleanup_close int fd =
		memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct client client;

	assert_int_equal(ftruncate(fd, 4 * MIB), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	assert_int_equal(client_connect(&client, &hostile->server, NULL), 0);
	assert_int_equal(fe_memory_add_file(&client.memory, 0, 4 * MIB, fd, 0),
			 0);
	assert_int_equal(fe_vring_init(&client.vrings[0], &client.memory, 0,
				       CLIENT_QUEUE_SIZE,
				       client.session.features),
			 0);
	client.nr_queues = 1;
	assert_int_equal(
		fe_blk_init(&client.blks[0], &client.vrings[0], 0, 1, PAGE), 0);
	assert_int_equal(client_start(&client), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

/* S-25: huge pages, at an offset of small ones */
static void a_huge_page_is_not_mapped_from_its_middle(void **state)
{
	struct hostile *hostile = *state;
	cleanup_close int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	struct fe_message message;
	struct attack attack;

	if (fd < 0 || ftruncate(fd, 4 * MIB) < 0)
		skip();
	for (enum attack_state in = 0; in < NR_ATTACK_STATES; in++) {
		attack_begin(&attack, &hostile->server, in, 0);
		fe_message_init(&message, FE_ADD_MEM_REG, 40);
		message.payload.single.region = (struct fe_wire_region){
			.guest_addr = UINT64_C(1) << 40,
			.size_bytes = PAGE,
			.user_addr = UINT64_C(1) << 46,
			.mmap_offset = PAGE,
		};
		assert_int_equal(attack_message(&attack, &message, &fd, 1),
				 in == ATTACK_FRESH ? PROBE_CLOSED : PROBE_NAK);
		attack_end(&attack);
	}
}

static void kick_in_vain(struct client *client)
{
	for (unsigned int i = 0; i < 100; i++)
		fe_vring_kick(&client->vrings[0]);
	assert_int_equal(fe_session_sync(&client->session), 0);
	assert_false(fe_vring_has_used(&client->vrings[0]));
	rh_eventfd_drain(client->vrings[0].err_fd); /* it may have said so */
}

static int show_nothing(struct client *client)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_MEM_TABLE, 8);
	return fe_session_exchange(&client->session, &message, NULL, 0);
}

/* F-21, S-22, S-40: before there is any memory, and when there is none again */
static void kicks_without_memory_do_nothing(void **state)
{
	const struct client_options options = {
		.refused_protocol = FE_PROTOCOL_MEM_SLOTS,
	};
	struct hostile *hostile = *state;
	struct fe_blk_request *request;
	struct client client;

	assert_int_equal(client_connect(&client, &hostile->server, &options),
			 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	request = fe_blk_get(&client.blks[0]);
	request->data_bytes = PAGE;
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_publish(&client.vrings[0]);
	assert_int_equal(fe_session_start_vring(
				 &client.session, &client.vrings[0], 0,
				 client_rings_are_packed() ? 0x80008000u : 0),
			 0);
	kick_in_vain(&client);
	assert_int_equal(show_nothing(&client), 0);
	kick_in_vain(&client);
	assert_int_equal(fe_session_set_table(&client.session, &client.memory),
			 0);
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(request), 0);

	assert_int_equal(show_nothing(&client), 0);
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_publish(&client.vrings[0]);
	kick_in_vain(&client);
	assert_int_equal(fe_session_set_table(&client.session, &client.memory),
			 0);
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(no_page_is_touched_after_it_was_replaced),
		HOSTILE(data_pages_taken_back_harm_one_session),
		HOSTILE(holes_in_memory_harm_one_session),
		HOSTILE(headers_and_status_bytes_may_lie_at_each_end),
		HOSTILE(sealed_memory_is_as_good),
		HOSTILE(a_huge_page_is_not_mapped_from_its_middle),
		HOSTILE(kicks_without_memory_do_nothing),
	};

	return hostile_run("hostile-memory", tests, ARRAY_SIZE(tests));
}
