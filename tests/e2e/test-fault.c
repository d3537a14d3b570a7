/* SPDX-License-Identifier: MIT */
/*
 * fault - a guest on a disk that fails as it is told
 *
 * What is told to the guest is never better than what has happened, and what
 * a flush has made durable survives a power cut. Against ringhost only.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/frontend/clock.h"

#define SECTOR_BYTES   512
#define PIECE_BYTES    4096
#define PIECE_SECTORS  (PIECE_BYTES / SECTOR_BYTES)
#define EXIT_POWER_CUT 86
#define EARLY	       1 /* seeds of what is written */
#define LATE	       2

static struct server server;
static struct client client;
static uint8_t data[CLIENT_DATA_BYTES];
static uint8_t found[CLIENT_DATA_BYTES];

/* words: options up to a NULL */
static void start(const char *const *words)
{
	struct server_options options = { 0 };
	unsigned int nr = 0;

	options.options[nr++] = "--driver=fault";
	while (*words)
		options.options[nr++] = *words++;
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
}

#define START(...) start((const char *const[]){ __VA_ARGS__, NULL })

static void stop(void)
{
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

static int write_piece(unsigned int piece, uint64_t seed)
{
	client_fill(data, PIECE_BYTES, seed * 1000 + piece);
	return fe_blk_write(&client.blks[0], (uint64_t)piece * PIECE_SECTORS,
			    data, PIECE_BYTES);
}

static int read_sectors(uint64_t sector, uint32_t bytes)
{
	memset(found, 0xee, bytes);
	return fe_blk_read(&client.blks[0], sector, found, bytes);
}

static int flush(void)
{
	return fe_blk_flush(&client.blks[0]);
}

/* What the image holds of a piece, whoever may still have more of it. */
static bool image_has(unsigned int piece, uint64_t seed)
{
	cleanup_close int fd = open(server.image, O_RDONLY | O_CLOEXEC);
	uint8_t expected[PIECE_BYTES] = { 0 };
	uint8_t content[PIECE_BYTES];

	assert_int_equal(pread(fd, content, PIECE_BYTES,
			       (off_t)piece * PIECE_BYTES),
			 PIECE_BYTES);
	if (seed)
		client_fill(expected, PIECE_BYTES, seed * 1000 + piece);
	return !memcmp(content, expected, PIECE_BYTES);
}

/* A request that is submitted and not waited for. */
static struct fe_blk_request *submit(uint32_t type, unsigned int piece)
{
	struct fe_blk_request *request = fe_blk_get(&client.blks[0]);

	assert_non_null(request);
	request->type = type;
	request->sector = (uint64_t)piece * PIECE_SECTORS;
	request->data_bytes = type == VIRTIO_BLK_T_FLUSH ? 0 : PIECE_BYTES;
	if (type == VIRTIO_BLK_T_OUT)
		memset(request->data, 0x77, PIECE_BYTES);
	assert_int_equal(fe_blk_add(request), 0);
	fe_vring_submit(&client.vrings[0]);
	return request;
}

static void an_error_is_told_to_the_guest_and_to_nobody_else(void **state)
{
	(void)state;
	START("--fault=write,nth=2,error=ENOSPC",
	      "--fault=read,nth=1,error=EIO", "--fault=flush,nth=1,error=EROFS",
	      "--fault=discard,nth=1,error=EOPNOTSUPP");
	assert_int_equal(write_piece(0, EARLY), 0);
	assert_int_equal(write_piece(0, LATE), -EIO);
	assert_int_equal(read_sectors(0, PIECE_BYTES), -EIO);
	assert_int_equal(read_sectors(0, PIECE_BYTES), 0);
	assert_true(client_filled(found, PIECE_BYTES, EARLY * 1000));
	assert_int_equal(flush(), -EIO);
	assert_int_equal(flush(), 0);
	assert_int_equal(fe_blk_discard(&client.blks[0], 0, 8), -EOPNOTSUPP);
	assert_int_equal(fe_blk_discard(&client.blks[0], 0, 8), 0);
	assert_int_equal(server_log_count(&server, "for the first time"), 4);
	stop();
}

/* Three segments; the answer is about all of them. */
static int send_ranges(uint32_t type)
{
	struct fe_blk_request *request = fe_blk_get(&client.blks[0]);
	struct virtio_blk_discard_write_zeroes range = {
		.num_sectors = PIECE_SECTORS,
	};
	int result;

	assert_non_null(request);
	request->type = type;
	request->sector = 0;
	request->data_bytes = 3 * sizeof(range);
	for (unsigned int i = 0; i < 3; i++) {
		range.sector = (uint64_t)i * 2 * PIECE_SECTORS;
		memcpy(request->data + i * sizeof(range), &range,
		       sizeof(range));
	}
	result = fe_blk_execute(request);
	fe_blk_put(request);
	return result;
}

/* The first, the middle and the last one, of requests one after the other */
static void an_error_of_any_range_is_that_of_the_request(void **state)
{
	(void)state;
	START("--fault=discard,nth=1,error=EIO",
	      "--fault=discard,nth=3,error=ENOSPC",
	      "--fault=discard,nth=6,error=EROFS",
	      "--fault=write-zeroes,nth=1,error=EIO",
	      "--fault=write-zeroes,nth=3,error=ENOSPC",
	      "--fault=write-zeroes,nth=6,error=EROFS");
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD), -EIO);
		assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES), -EIO);
	}
	assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD), 0);
	assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES), 0);
	stop();
}

/* B-27, D-15: each of four pieces fails once, and then none of them does */
static void an_error_of_any_piece_is_that_of_the_request(void **state)
{
	(void)state;
	START("--cache=writeback", "--fault=host-read+host-write,short=4096",
	      "--fault=host-read,nth=1,error=EIO",
	      "--fault=host-read,nth=3,error=EROFS",
	      "--fault=host-read,nth=6,error=EIO",
	      "--fault=host-read,nth=10,short=0",
	      "--fault=host-write,nth=1,error=EIO",
	      "--fault=host-write,nth=3,error=ENOSPC",
	      "--fault=host-write,nth=6,error=EROFS",
	      "--fault=host-write,nth=10,error=ENOSPC");
	client_fill(data, 4 * PIECE_BYTES, 7);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(fe_blk_write(&client.blks[0], 0, data,
					      4 * PIECE_BYTES),
				 -EIO);
		assert_int_equal(read_sectors(0, 4 * PIECE_BYTES), -EIO);
	}
	assert_int_equal(
		fe_blk_write(&client.blks[0], 0, data, 4 * PIECE_BYTES), 0);
	assert_int_equal(read_sectors(0, 4 * PIECE_BYTES), 0);
	assert_true(client_filled(found, 4 * PIECE_BYTES, 7));
	stop();
}

/* D-02 */
static void after_a_failed_sync_no_flush_succeeds_until_a_restart(void **state)
{
	(void)state;
	START("--cache=writeback", "--fault=host-sync,nth=2,error=EIO");
	assert_int_equal(write_piece(0, EARLY), 0);
	assert_int_equal(flush(), 0);
	assert_int_equal(flush(), -EIO);
	/* the host would say that all is well now */
	assert_int_equal(flush(), -EIO);
	assert_int_equal(write_piece(0, LATE), 0);
	assert_int_equal(flush(), -EIO);
	client_close(&client);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(flush(), -EIO);
	client_close(&client);
	assert_int_equal(server_kill_and_restart(&server, NULL), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(flush(), 0);
	stop();
}

/* D-02: without a flush to fail, the writes do */
static void after_a_failed_sync_no_durable_write_succeeds(void **state)
{
	const struct client_options no_flush = {
		.refused_features = UINT64_C(1) << VIRTIO_BLK_F_FLUSH,
	};

	(void)state;
	START("--cache=writeback", "--fault=host-sync,nth=1,error=EIO");
	client_close(&client);
	assert_int_equal(client_open(&client, &server, &no_flush), 0);
	assert_int_equal(write_piece(0, EARLY), 0);
	assert_int_equal(flush(), -EIO);
	assert_int_equal(write_piece(0, LATE), -EIO);
	assert_int_equal(write_piece(1, LATE), -EIO);
	assert_int_equal(fe_blk_write_zeroes(&client.blks[0], 0, 8, false),
			 -EIO);
	assert_int_equal(read_sectors(0, PIECE_BYTES), 0);
	assert_true(client_filled(found, PIECE_BYTES, EARLY * 1000));
	stop();
}

/* D-18 */
static void accepted_zeroes_read_as_zeros_however_they_came_about(void **state)
{
	(void)state;
	START("--cache=writeback", "--fault=host-zero,error=EOPNOTSUPP",
	      "--fault=host-write,every=3,short=512",
	      "--fault=host-write,nth=60,error=ENOSPC");
	for (unsigned int i = 0; i < 40; i++) {
		bool unmap = i % 2;
		int result;

		client_fill(data, 16384, i);
		if (fe_blk_write(&client.blks[0], 0, data, 16384))
			continue;
		result = fe_blk_write_zeroes(&client.blks[0], 1 + i % 3, 16,
					     unmap);
		assert_true(result == 0 || result == -EIO);
		assert_int_equal(read_sectors(1 + i % 3, 8192), 0);
		for (unsigned int j = 0; !result && j < 8192; j++)
			assert_int_equal(found[j], 0);
	}
	assert_int_equal(server_log_count(&server, "nth=60,error=ENOSPC"), 1);
	stop();
}

static void what_hangs_ends_with_its_queue(void **state)
{
	struct fe_blk_request *request;
	uint32_t base;

	(void)state;
	START("--fault=read,nth=1,hang", "--fault=write,nth=1,hold=1000/60s");
	request = submit(VIRTIO_BLK_T_IN, 0);
	submit(VIRTIO_BLK_T_OUT, 1);
	assert_int_equal(flush(), 0);
	assert_false(request->done);
	assert_int_equal(fe_session_get_base(&client.session, 0, &base), 0);
	assert_true(client_is_drained(&client.vrings[0], base));
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(request), -EIO);
	stop();
}

static void what_is_slow_delays_nobody_else(void **state)
{
	struct fe_blk_request *slow;
	uint64_t begin;

	(void)state;
	START("--fault=read,nth=1,delay=300ms");
	begin = fe_now_usec();
	slow = submit(VIRTIO_BLK_T_IN, 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(write_piece(i, EARLY), 0);
	if (fe_now_usec() - begin < 300000) /* not so long yet */
		assert_false(slow->done);
	assert_int_equal(fe_blk_wait(slow, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(slow), 0);
	stop();
}

/* Chance, delays and holds, from several queues: nothing is lost by it. */
static void a_disk_in_disorder_keeps_its_data(void **state)
{
	const struct client_options four = { .nr_queues = 4 };

	(void)state;
	START("--threads=2", "--fault=any,chance=20%,delay=10us-3ms",
	      "--fault=write,every=7,hold=3/5ms", "--fault-cache=256k",
	      "--fault=flush,chance=50%,delay=1ms");
	client_close(&client);
	assert_int_equal(client_open(&client, &server, &four), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(client_load(&client, i, 300), 0);
		assert_int_equal(client_check_io(&client, i, (uint8_t)i), 0);
		assert_int_equal(fe_blk_flush(&client.blks[i]), 0);
	}
	stop();
}

static void reopen_after_the_cut(void)
{
	const struct server_options options = { .image = server.image };
	struct server again;

	client_close(&client);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC),
			 EXIT_POWER_CUT);
	assert_int_equal(server_start(&again, &options), 0);
	server_clean_up(&server);
	server = again;
	assert_int_equal(client_open(&client, &server, NULL), 0);
}

static void assert_holds(unsigned int piece, uint64_t seed)
{
	assert_int_equal(
		read_sectors((uint64_t)piece * PIECE_SECTORS, PIECE_BYTES), 0);
	assert_true(client_filled(found, PIECE_BYTES, seed * 1000 + piece));
}

/* D-01 */
static void a_power_cut_takes_what_was_not_flushed(void **state)
{
	(void)state;
	START("--fault-cache=1M", "--fault=signal,power-cut=none");
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(write_piece(i, EARLY), 0);
	assert_true(image_has(0, 0));
	assert_int_equal(flush(), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(write_piece(i, LATE), 0);
	assert_holds(3, LATE);
	assert_int_equal(kill(server.pid, SIGUSR2), 0);
	reopen_after_the_cut();
	for (unsigned int i = 0; i < 8; i++)
		assert_holds(i, EARLY);
	stop();
}

static void the_write_at_which_the_power_fails_is_not_answered(void **state)
{
	struct fe_blk_request *last;

	(void)state;
	START("--fault-cache=1M", "--fault=write,nth=4,power-cut=2");
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(write_piece(i, LATE), 0);
	last = submit(VIRTIO_BLK_T_OUT, 3);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC),
			 EXIT_POWER_CUT);
	assert_false(last->done);
	assert_int_equal(*last->status_byte, FE_BLK_NO_STATUS);
	assert_true(image_has(0, LATE));
	assert_true(image_has(1, LATE));
	assert_true(image_has(2, 0));
	assert_true(image_has(3, 0));
	assert_int_equal(
		server_log_count(&server, "2 are kept, 0 torn, 2 lost"), 1);
	client_close(&client);
	server_clean_up(&server);
}

/* virtio 1.3, 5.2.6.2, behaviour 23 */
static void in_writethrough_mode_a_power_cut_takes_nothing(void **state)
{
	(void)state;
	START("--cache=writethrough", "--fault-cache=1M",
	      "--fault=signal,power-cut=none");
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(write_piece(i, EARLY), 0);
	assert_int_equal(kill(server.pid, SIGUSR2), 0);
	reopen_after_the_cut();
	for (unsigned int i = 0; i < 8; i++)
		assert_holds(i, EARLY);
	stop();
}

/* The cache is switched off while it holds something. */
static void a_cache_that_is_switched_off_leaves_nothing_behind(void **state)
{
	uint8_t off = 0;

	(void)state;
	START("--fault-cache=1M", "--fault=signal,power-cut=none");
	assert_int_equal(write_piece(0, EARLY), 0);
	assert_int_equal(write_piece(1, EARLY), 0);
	assert_true(image_has(1, 0));
	assert_int_equal(
		fe_session_set_config(&client.session,
				      offsetof(struct virtio_blk_config, wce),
				      &off, 1),
		0);
	assert_int_equal(write_piece(1, LATE), 0);
	assert_int_equal(write_piece(2, LATE), 0);
	assert_int_equal(kill(server.pid, SIGUSR2), 0);
	reopen_after_the_cut();
	assert_holds(0, EARLY);
	assert_holds(1, LATE);
	assert_holds(2, LATE);
	stop();
}

/* A VM that goes, and a server that ends, leave all of it behind. */
static void an_end_in_order_is_no_power_cut(void **state)
{
	(void)state;
	START("--fault-cache=1M");
	assert_int_equal(write_piece(0, EARLY), 0);
	client_close(&client);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_true(image_has(0, EARLY));
	assert_int_equal(write_piece(1, EARLY), 0);
	assert_true(image_has(1, 0));
	kill(server.pid, SIGTERM);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	assert_true(image_has(1, EARLY));
	client_close(&client);
	server_clean_up(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_error_is_told_to_the_guest_and_to_nobody_else),
		cmocka_unit_test(an_error_of_any_range_is_that_of_the_request),
		cmocka_unit_test(an_error_of_any_piece_is_that_of_the_request),
		cmocka_unit_test(
			after_a_failed_sync_no_flush_succeeds_until_a_restart),
		cmocka_unit_test(after_a_failed_sync_no_durable_write_succeeds),
		cmocka_unit_test(
			accepted_zeroes_read_as_zeros_however_they_came_about),
		cmocka_unit_test(what_hangs_ends_with_its_queue),
		cmocka_unit_test(what_is_slow_delays_nobody_else),
		cmocka_unit_test(a_disk_in_disorder_keeps_its_data),
		cmocka_unit_test(a_power_cut_takes_what_was_not_flushed),
		cmocka_unit_test(
			the_write_at_which_the_power_fails_is_not_answered),
		cmocka_unit_test(
			in_writethrough_mode_a_power_cut_takes_nothing),
		cmocka_unit_test(
			a_cache_that_is_switched_off_leaves_nothing_behind),
		cmocka_unit_test(an_end_in_order_is_no_power_cut),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
