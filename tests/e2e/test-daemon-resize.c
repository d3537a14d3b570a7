/* SPDX-License-Identifier: MIT */
/*
 * daemon-resize - images get another size while guests use them
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

#define SECTOR_BYTES 512
#define MIB	     (UINT64_C(1) << 20)
#define SLOW(delay)  "['write,first=1,delay=" delay "']"

static void resize(struct daemon *daemon, const char *node, uint64_t bytes)
{
	qmp_do(&daemon->qmp, "block_resize",
	       "{'node-name': '%s', 'size': %llu}", node,
	       (unsigned long long)bytes);
}

static uint64_t file_bytes(const struct daemon *daemon, const char *name)
{
	struct stat status;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", daemon->server.dir, name);
	assert_int_equal(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

static uint64_t node_bytes(struct qmp *qmp, const char *name)
{
	json_t *node = qmp_find(qmp, "query-named-block-nodes", "{}",
				"node-name", name);
	json_t *image = json_object_get(node, "image");
	json_int_t bytes =
		json_integer_value(json_object_get(image, "virtual-size"));

	json_decref(node);
	assert_true(bytes > 0);
	return (uint64_t)bytes;
}

static void expect_event(struct daemon *daemon, const char *id,
			 const char *node, uint64_t bytes)
{
	json_t *data = qmp_event(&daemon->qmp, "X_EXPORT_RESIZED");

	assert_string_equal(json_string_value(json_object_get(data, "id")), id);
	assert_string_equal(
		json_string_value(json_object_get(data, "node-name")), node);
	assert_int_equal(json_integer_value(json_object_get(data, "size")),
			 bytes);
}

static void expect_told(int channel)
{
	struct fe_message message;

	assert_int_equal(fe_message_receive(channel, &message, FE_PATIENCE_MSEC,
					    NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_BACKEND_CONFIG_CHANGE);
}

static void write_sector(struct client *client, uint64_t offset_bytes,
			 int result)
{
	const uint8_t sector[SECTOR_BYTES] = { 0xa5 };

	assert_int_equal(fe_blk_write(&client->blks[0],
				      offset_bytes / SECTOR_BYTES, sector,
				      sizeof(sector)),
			 result);
}

static void a_guest_is_told_of_its_disks_new_size(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	int channel;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	write_sector(&client, DAEMON_IMAGE_BYTES, -EIO);

	/* By the name of a node above the image */
	resize(&daemon, "disk0", 2 * DAEMON_IMAGE_BYTES);
	expect_event(&daemon, "e0", "disk0", 2 * DAEMON_IMAGE_BYTES);
	expect_told(channel);
	assert_int_equal(client_capacity(&client), 2 * DAEMON_IMAGE_BYTES);
	assert_int_equal(file_bytes(&daemon, "a.img"), 2 * DAEMON_IMAGE_BYTES);
	assert_int_equal(node_bytes(&daemon.qmp, "file0"),
			 2 * DAEMON_IMAGE_BYTES);
	write_sector(&client, DAEMON_IMAGE_BYTES, 0);

	/* And of the one that has it */
	resize(&daemon, "file0", MIB);
	expect_event(&daemon, "e0", "disk0", MIB);
	assert_int_equal(client_capacity(&client), MIB);
	assert_int_equal(file_bytes(&daemon, "a.img"), MIB);
	write_sector(&client, MIB, -EIO);
	write_sector(&client, MIB - SECTOR_BYTES, 0);

	resize(&daemon, "disk1", 3 * MIB);
	expect_event(&daemon, "e1", "disk1", 3 * MIB);
	close(channel);
	client_close(&client);
	daemon_stop(&daemon);
}

/* A guest that writes at the end of its disk, wherever that is. */
struct poacher {
	struct client client;
	pthread_t thread;
	atomic_bool ends;
	atomic_bool cut; /* what it writes is not there any more */
	atomic_ulong nr_written;
	atomic_ulong nr_refused;
	atomic_bool trespassed;
};

static void *write_at_the_end(void *opaque)
{
	struct poacher *poacher = opaque;
	const uint8_t block[4096] = { 0x77 };

	for (unsigned int i = 0; !atomic_load(&poacher->ends); i++) {
		bool cut = atomic_load(&poacher->cut);
		int result =
			fe_blk_write(&poacher->client.blks[0],
				     (6 * MIB + i % 256 * 4096) / SECTOR_BYTES,
				     block, sizeof(block));

		atomic_fetch_add(result ? &poacher->nr_refused :
					  &poacher->nr_written,
				 1);
		if (cut && result != -EIO && atomic_load(&poacher->cut))
			atomic_store(&poacher->trespassed, true);
	}
	return NULL;
}

static void wait_for_more(atomic_ulong *counter)
{
	unsigned long before = atomic_load(counter);

	AWAIT(atomic_load(counter) >= before + 2);
}

static void a_disk_shrinks_while_guests_use_what_goes(void **state)
{
	static struct poacher poacher;
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	daemon_export(&daemon, "e2", "disk0");
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	memset(&poacher, 0, sizeof(poacher));
	assert_int_equal(client_open(&poacher.client,
				     daemon_at(&daemon, "e2.sock"), NULL),
			 0);
	poacher.client.blks[0].timeout_msec = FE_PATIENCE_MSEC;
	pthread_create(&poacher.thread, NULL, write_at_the_end, &poacher);
	for (unsigned int i = 0; i < 10; i++) {
		wait_for_more(&poacher.nr_written);
		resize(&daemon, "disk0", 5 * MIB);
		atomic_store(&poacher.cut, true);
		wait_for_more(&poacher.nr_refused);
		assert_int_equal(file_bytes(&daemon, "a.img"), 5 * MIB);
		atomic_store(&poacher.cut, false);
		resize(&daemon, "disk0", DAEMON_IMAGE_BYTES);
	}
	load_goes_on(&load);
	load_end(&load);
	atomic_store(&poacher.ends, true);
	pthread_join(poacher.thread, NULL);
	assert_false(atomic_load(&poacher.trespassed));
	client_close(&poacher.client);
	daemon_stop(&daemon);
}

/* Since then the slow disk has its write. */
static uint64_t slow_since_usec;

/*
 * A write to the end of a slow disk, which takes its time, and others behind
 * it, so that it was taken.
 */
static struct fe_blk_request *
use_slow_disk(struct daemon *daemon, const char *faults, struct client *client)
{
	struct fe_blk_request *request;

	daemon_start(daemon, NULL);
	daemon_export_faulty(daemon, "slow", faults);
	assert_int_equal(
		client_open(client, daemon_at(daemon, "slow.sock"), NULL), 0);
	slow_since_usec = fe_now_usec();
	request = client_begin_write(client, DAEMON_IMAGE_BYTES - 4096);
	assert_non_null(request);
	assert_int_equal(client_check_io(client, 0, 0), 0);
	return request;
}

/* Another client does that; its answer comes when all have ended. */
static void begin_to_shrink(struct daemon *daemon, struct qmp *other)
{
	qmp_open(other, daemon->server.socket);
	qmp_order(other, "block_resize", "{'node-name': 'slow', 'size': 4096}");
	AWAIT(node_bytes(&daemon->qmp, "slow") == 4096);
}

/* Returns false if the write may have ended meanwhile; else all was so. */
static bool is_being_resized(struct daemon *daemon, uint64_t usec)
{
	static const char *const refused[] = { "block_resize", "blockdev-del" };
	static const char *const arguments[] = {
		"{'node-name': 'slow', 'size': 8192}", "{'node-name': 'slow'}"
	};
	uint64_t end_usec = slow_since_usec + usec;
	uint64_t bytes = file_bytes(daemon, "b.img");

	if (fe_now_usec() >= end_usec)
		return false;
	assert_int_equal(bytes, DAEMON_IMAGE_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		json_t *answer =
			qmp_ask(&daemon->qmp, refused[i], "%s", arguments[i]);

		json_decref(answer);
		if (fe_now_usec() >= end_usec)
			return false;
		assert_null(answer);
		assert_non_null(strstr(qmp_error, "is being resized"));
	}
	return true;
}

/* Returns false if it took so long that nothing was to be seen. */
static bool cut_behind_a_write_of_two_seconds(void)
{
	struct fe_blk_request *request;
	struct client client = { 0 };
	struct daemon daemon;
	struct qmp other;
	bool seen;

	request = use_slow_disk(&daemon, SLOW("2s"), &client);
	begin_to_shrink(&daemon, &other);
	seen = is_being_resized(&daemon, 2000000);
	json_decref(qmp_answer(&other));
	if (seen)
		assert_int_equal(file_bytes(&daemon, "b.img"), 4096);
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
	if (seen)
		write_sector(&client, 4096, -EIO);
	write_sector(&client, 0, 0);
	qmp_close(&other);
	client_close(&client);
	daemon_stop(&daemon);
	return seen;
}

/* On a machine that stood still for as long as the write takes: again. */
static void what_was_taken_before_ends_before_the_image_is_cut(void **state)
{
	(void)state;
	daemon_play(cut_behind_a_write_of_two_seconds);
}

static void a_disk_goes_while_it_is_resized(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	struct qmp other;

	(void)state;
	use_slow_disk(&daemon, SLOW("500ms"), &client);
	begin_to_shrink(&daemon, &other);
	qmp_do(&daemon.qmp, "block-export-del",
	       "{'id': 'slow', 'mode': 'hard'}");
	qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
	json_decref(qmp_answer(&other));
	assert_int_equal(file_bytes(&daemon, "b.img"), 4096);
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'slow'}");
	client_close(&client);
	qmp_close(&other);
	daemon_stop(&daemon);
}

static void what_cannot_be_is_refused_with_a_sentence(void **state)
{
	struct daemon daemon;
	const struct rlimit limit = { 2 * DAEMON_IMAGE_BYTES, RLIM_INFINITY };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'raw', 'node-name': 'ro', 'file': 'file0', "
	       "'read-only': true}");
	qmp_fails(&daemon.qmp, "name a node in 'node-name'", "block_resize",
		  "{'device': 'e0', 'size': 512}");
	qmp_fails(&daemon.qmp, "'node-name' is missing", "block_resize",
		  "{'size': 512}");
	qmp_fails(&daemon.qmp, "'size' is missing", "block_resize",
		  "{'node-name': 'disk0'}");
	qmp_fails(&daemon.qmp, "Cannot find", "block_resize",
		  "{'node-name': 'none', 'size': 512}");
	qmp_fails(&daemon.qmp, "above 0", "block_resize",
		  "{'node-name': 'disk0', 'size': 0}");
	qmp_fails(&daemon.qmp, "'size'", "block_resize",
		  "{'node-name': 'disk0', 'size': -512}");
	qmp_fails(&daemon.qmp, "a multiple of 512", "block_resize",
		  "{'node-name': 'disk0', 'size': 1000}");
	qmp_fails(&daemon.qmp, "is read-only", "block_resize",
		  "{'node-name': 'ro', 'size': 512}");
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': 'disk0', "
	       "'logical-block-size': 4096, 'addr': {'type': 'unix', 'path': "
	       "'e2.sock'}}");
	qmp_fails(&daemon.qmp, "the block size of export 'e2'", "block_resize",
		  "{'node-name': 'disk0', 'size': 512}");
	assert_int_equal(prlimit(daemon.server.pid, RLIMIT_FSIZE, &limit, NULL),
			 0);
	qmp_fails(&daemon.qmp, "ulimit -f", "block_resize",
		  "{'node-name': 'disk0', 'size': %u}", 4 * DAEMON_IMAGE_BYTES);
	assert_int_equal(node_bytes(&daemon.qmp, "disk0"), DAEMON_IMAGE_BYTES);
	daemon_stop(&daemon);
}

/*
 * An image that may not be cut, as its owner has it. A confined daemon could
 * not look into our part of /proc any more.
 */
static int start_with_sealed_image(struct daemon *daemon)
{
	char blockdev[128];
	const char *const options[] = { "--blockdev", blockdev, NULL };
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, DAEMON_IMAGE_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	snprintf(blockdev, sizeof(blockdev),
		 "file,node-name=sealed,filename=/proc/%d/fd/%d,locking=off",
		 (int)getpid(), fd);
	daemon_start(daemon, options);
	return fd;
}

static void a_disk_that_cannot_shrink_stays_as_it_is(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	int fd;

	(void)state;
	fd = start_with_sealed_image(&daemon);
	daemon_export(&daemon, "e", "sealed");
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e.sock"), NULL), 0);
	qmp_fails(&daemon.qmp, "its size is fixed", "block_resize",
		  "{'node-name': 'sealed', 'size': 4096}");
	expect_event(&daemon, "e", "sealed", DAEMON_IMAGE_BYTES);
	assert_int_equal(client_capacity(&client), DAEMON_IMAGE_BYTES);
	write_sector(&client, DAEMON_IMAGE_BYTES - SECTOR_BYTES, 0);
	client_close(&client);
	close(fd);
	daemon_stop(&daemon);
}

/* Timers of its that expire each second. */
static unsigned int nr_ticking(const struct daemon *daemon)
{
	unsigned int nr = 0;
	char text[512];
	char path[64];

	for (int fd = 0; fd < 256; fd++) {
		FILE *stream;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d",
			 (int)daemon->server.pid, fd);
		stream = fopen(path, "re");
		while (stream && fgets(text, sizeof(text), stream))
			nr += !strcmp(text, "it_interval: (1, 0)\n");
		if (stream)
			fclose(stream);
	}
	return nr;
}

static void a_size_that_changes_by_itself_is_seen(void **state)
{
	static const char *const options[] = {
		"--watch-size",
		"1",
		"--blockdev",
		"driver=file,node-name=n,filename=a.img",
		"--export",
		"vhost-user-blk,id=e0,node-name=n,addr.type="
		"unix,addr.path=e0.sock,writable=on",
		NULL,
	};
	struct client client = { 0 };
	struct daemon daemon;
	char path[128];
	int channel;

	(void)state;
	daemon_start(&daemon, options);
	assert_int_equal(nr_ticking(&daemon), 0);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	AWAIT(nr_ticking(&daemon) == 1);
	snprintf(path, sizeof(path), "%s/a.img", daemon.server.dir);
	assert_int_equal(truncate(path, 2 * DAEMON_IMAGE_BYTES), 0);
	expect_event(&daemon, "e0", "n", 2 * DAEMON_IMAGE_BYTES);
	expect_told(channel);
	assert_int_equal(client_capacity(&client), 2 * DAEMON_IMAGE_BYTES);
	assert_int_equal(truncate(path, DAEMON_IMAGE_BYTES), 0);
	expect_event(&daemon, "e0", "n", DAEMON_IMAGE_BYTES);
	write_sector(&client, DAEMON_IMAGE_BYTES, -EIO);
	close(channel);
	client_close(&client);
	/* Nobody is there: nothing wakes it. */
	AWAIT(nr_ticking(&daemon) == 0);
	daemon_stop(&daemon);
}

static void nodes_come_and_go_while_sizes_are_looked_at(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < 100; i++) {
		kill(daemon.server.pid, SIGUSR1);
		qmp_do(&daemon.qmp, "blockdev-add",
		       "{'driver': 'file', 'node-name': 'n', 'filename': "
		       "'b.img'}");
		kill(daemon.server.pid, SIGUSR1);
		resize(&daemon, "n", (i + 1) * MIB);
		kill(daemon.server.pid, SIGUSR1);
		assert_int_equal(node_bytes(&daemon.qmp, "n"), (i + 1) * MIB);
		qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'n'}");
	}
	daemon_stop(&daemon);
}

static void the_end_does_not_wait_for_a_resize(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	struct qmp other;

	(void)state;
	use_slow_disk(&daemon, SLOW("500ms"), &client);
	begin_to_shrink(&daemon, &other);
	daemon_stop(&daemon);
	client_close(&client);
	qmp_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_is_told_of_its_disks_new_size),
		cmocka_unit_test(a_disk_shrinks_while_guests_use_what_goes),
		cmocka_unit_test(
			what_was_taken_before_ends_before_the_image_is_cut),
		cmocka_unit_test(a_disk_goes_while_it_is_resized),
		cmocka_unit_test(what_cannot_be_is_refused_with_a_sentence),
		cmocka_unit_test(a_disk_that_cannot_shrink_stays_as_it_is),
		cmocka_unit_test(a_size_that_changes_by_itself_is_seen),
		cmocka_unit_test(nodes_come_and_go_while_sizes_are_looked_at),
		cmocka_unit_test(the_end_does_not_wait_for_a_resize),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-resize", tests, NULL, NULL);
}
