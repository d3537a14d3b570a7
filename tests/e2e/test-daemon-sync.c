/* SPDX-License-Identifier: MIT */
/*
 * daemon-sync - a sync that has failed is not forgotten in another process
 *
 * The first process has a C library whose syncs fail (FAILING_SYNC); for those
 * that take its place they would succeed, although the data is gone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"

/* A pool's threads ask the C library. */
static const char *const disks[] = {
	"--aio",
	"threads",
	"--blockdev",
	"driver=file,node-name=file,filename=a.img",
	"--blockdev",
	"driver=raw,node-name=a,file=file",
	"--blockdev",
	"driver=file,node-name=b,filename=b.img",
	"--export",
	"vhost-user-blk,id=a,node-name=a,addr.type=unix,addr.path=a.sock,"
	"writable=on",
	"--export",
	"vhost-user-blk,id=b,node-name=b,addr.type=unix,addr.path=b.sock,"
	"writable=on",
	NULL,
};

static void start(struct daemon *daemon)
{
	assert_int_equal(setenv("LD_PRELOAD", getenv("FAILING_SYNC"), 1), 0);
	daemon_start(daemon, disks);
	unsetenv("LD_PRELOAD");
}

static void after_a_failed_sync_no_successors_flush_succeeds(void **state)
{
	struct client a = { 0 };
	struct client b = { 0 };
	struct daemon daemon;

	(void)state;
	start(&daemon);
	assert_int_equal(client_open(&a, daemon_at(&daemon, "a.sock"), NULL),
			 0);
	assert_int_equal(client_open(&b, daemon_at(&daemon, "b.sock"), NULL),
			 0);
	assert_int_equal(fe_blk_flush(&a.blks[0]), -EIO);
	for (unsigned int i = 0; i < 2; i++) {
		daemon_succeed(&daemon, i ? disks : NULL);
		assert_int_equal(fe_blk_flush(&a.blks[0]), -EIO);
		assert_int_equal(fe_blk_flush(&b.blks[0]), 0);
		assert_int_equal(client_check_io(&b, 0, 1), 0);
	}
	client_close(&a);
	client_close(&b);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			after_a_failed_sync_no_successors_flush_succeeds),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-sync", tests, NULL, NULL);
}
