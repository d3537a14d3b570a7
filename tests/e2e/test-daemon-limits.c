/* SPDX-License-Identifier: MIT */
/*
 * daemon-limits - disks and groups of disks are kept to their limits
 *
 * Rates are measured over windows that begin when a disk has reached its limit.
 * A machine that is busy with other things may keep a guest from using all that
 * it is allowed, for a while, so a window that has too little is measured
 * again; one that has more than such a guest may have then, for once, fails.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/nsec.h"
#include "tests/e2e/cputime.h"
#include "tests/e2e/daemon.h"

#define BLOCK_BYTES  4096
#define MAX_TRIES    60
#define MAX_STOPS    5

#define WINDOW_MSEC  500 /* LIMITS_MSEC in the environment: so many */
#define WARM_UP_MSEC 200

/* What may have leaked out of a bucket while its guest did not run. */
#define BUCKET_MSEC 100

/* A queue on which as much is under way as it has room for. */
struct pump {
	struct fe_blk *blk;
	uint32_t type;
	pthread_t thread;
	atomic_bool ends;
	atomic_bool failed;
	atomic_ulong nr; /* that have ended */
};

/* A guest that pumps on all of its queues. */
struct guest {
	struct client client;
	struct pump pumps[CLIENT_MAX_QUEUES];
	unsigned int nr_queues;
};

static const char *const grouped_disks[] = {
	"--object",
	"iothread,id=t0",
	"--object",
	"throttle-group,id=g,x-iops-total=2000",
	"--blockdev",
	"null-co,node-name=n,size=8M",
	"--blockdev",
	"throttle,node-name=g0,throttle-group=g,file=n",
	"--blockdev",
	"throttle,node-name=g1,throttle-group=g,file.driver=null-co,"
	"file.size=8M",
	"--export",
	"vhost-user-blk,id=e0,node-name=g0,addr.type=unix,addr.path=e0.sock,"
	"writable=on,num-queues=4",
	"--export",
	"vhost-user-blk,id=e1,node-name=g1,addr.type=unix,addr.path=e1.sock,"
	"writable=on,iothread=t0",
	"--export",
	"vhost-user-blk,id=free,node-name=n,addr.type=unix,addr.path=free.sock,"
	"writable=on,num-queues=2",
	NULL,
};

static int send_one(struct pump *pump)
{
	struct fe_blk_request *request = fe_blk_get(pump->blk);

	request->type = pump->type;
	request->sector = 0;
	request->data_bytes = BLOCK_BYTES;
	return fe_blk_add(request);
}

static bool take_and_send(struct pump *pump)
{
	struct fe_blk_request *request;
	int outcome;

	while ((outcome = fe_blk_reap(pump->blk, &request)) > 0) {
		if (fe_blk_result(request) < 0)
			return false;
		fe_blk_put(request);
		atomic_fetch_add(&pump->nr, 1);
		if (!atomic_load(&pump->ends) && send_one(pump) < 0)
			return false;
	}
	fe_vring_submit(pump->blk->vring);
	return outcome == 0;
}

static void *run_pump(void *opaque)
{
	struct pump *pump = opaque;
	bool ok = true;

	for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
		ok &= send_one(pump) >= 0;
	fe_vring_submit(pump->blk->vring);
	while (ok && !atomic_load(&pump->ends)) {
		fe_vring_wait(pump->blk->vring, 20);
		ok = take_and_send(pump);
	}
	atomic_store(&pump->failed, !ok);
	return NULL;
}

static void guest_begin(struct guest *guest, struct daemon *daemon,
			const char *socket, unsigned int nr_queues)
{
	const struct client_options options = { .nr_queues = nr_queues };

	memset(guest, 0, sizeof(*guest));
	guest->nr_queues = nr_queues;
	assert_int_equal(client_open(&guest->client, daemon_at(daemon, socket),
				     &options),
			 0);
	for (unsigned int i = 0; i < nr_queues; i++) {
		guest->pumps[i].blk = &guest->client.blks[i];
		guest->pumps[i].type = VIRTIO_BLK_T_IN;
	}
}

static void guest_run(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_queues; i++)
		pthread_create(&guest->pumps[i].thread, NULL, run_pump,
			       &guest->pumps[i]);
}

/* What is in the rings stays there. */
static void guest_pause(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_queues; i++)
		atomic_store(&guest->pumps[i].ends, true);
	for (unsigned int i = 0; i < guest->nr_queues; i++) {
		pthread_join(guest->pumps[i].thread, NULL);
		assert_false(atomic_load(&guest->pumps[i].failed));
	}
}

static void guest_end(struct guest *guest)
{
	guest_pause(guest);
	client_close(&guest->client);
}

static unsigned long guest_nr(const struct guest *guest)
{
	unsigned long nr = 0;

	for (unsigned int i = 0; i < guest->nr_queues; i++)
		nr += atomic_load(&guest->pumps[i].nr);
	return nr;
}

static unsigned int window_msec(void)
{
	const char *text = getenv("LIMITS_MSEC");

	return text ? (unsigned int)strtoul(text, NULL, 10) : WINDOW_MSEC;
}

/* Requests of these guests in a second, into rates. Returns their sum. */
static double measure(struct guest *const *guests, unsigned int nr,
		      double *rates)
{
	unsigned long begin[4];
	unsigned long end[4];
	uint64_t begin_nsec;
	double seconds;
	double sum = 0;

	usleep(WARM_UP_MSEC * 1000);
	begin_nsec = nsec_now();
	for (unsigned int i = 0; i < nr; i++)
		begin[i] = guest_nr(guests[i]);
	usleep(window_msec() * 1000);
	for (unsigned int i = 0; i < nr; i++)
		end[i] = guest_nr(guests[i]);
	seconds = (double)(nsec_now() - begin_nsec) / 1e9;
	for (unsigned int i = 0; i < nr; i++) {
		rates[i] = (double)(end[i] - begin[i]) / seconds;
		print_message("# guest %u: %.1f requests/s in %.2f s\n", i,
			      rates[i], seconds);
		sum += rates[i];
	}
	return sum;
}

/* What was done before, and is only seen by the guest now: all its requests. */
static void assert_not_above(double rate, double limit, unsigned int nr_queues)
{
	double per_second = 1000 / (double)window_msec();

	assert_true(rate <= limit * (1.05 + BUCKET_MSEC / 1e3 * per_second) +
				    nr_queues * CLIENT_DEPTH * per_second);
}

/* Within five hundredths, in one of several windows. */
static void expect_rate(struct guest *guest, double limit)
{
	double rate = 0;

	for (unsigned int i = 0; i < MAX_TRIES; i++) {
		measure(&guest, 1, &rate);
		assert_not_above(rate, limit, guest->nr_queues);
		if (rate >= 0.95 * limit && rate <= 1.05 * limit)
			return;
	}
	fail_msg("%.1f requests/s where %.1f are allowed", rate, limit);
}

static void a_disk_keeps_to_its_limits_as_they_change(void **state)
{
	struct daemon daemon;
	struct guest guest;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	qmp_do(&daemon.qmp, "x-export-limit",
	       "{'id': 'free', 'limits': {'iops-total': 2000}}");
	guest_begin(&guest, &daemon, "free.sock", 2);
	guest_run(&guest);
	expect_rate(&guest, 2000);
	qmp_do(&daemon.qmp, "x-export-limit",
	       "{'id': 'free', 'limits': {'iops-total': 0, 'bps-read': %u}}",
	       BLOCK_BYTES * 500);
	expect_rate(&guest, 500);
	/* a page is worth four of these requests */
	qmp_do(&daemon.qmp, "x-export-limit",
	       "{'id': 'free', 'limits': {'bps-read': 0, 'iops-read': 4000, "
	       "'iops-size': 1024}}");
	expect_rate(&guest, 1000);
	guest_end(&guest);
	daemon_stop(&daemon);
}

/* They would take a quarter of an hour. */
static void what_waits_goes_at_once_when_its_limit_goes(void **state)
{
	static const char *const kinds[] = { "iops-total", "iops-read" };
	struct daemon daemon;
	struct guest guest;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		qmp_do(&daemon.qmp, "x-export-limit",
		       "{'id': 'free', 'limits': {'%s': 1}}", kinds[i]);
		guest_begin(&guest, &daemon, "free.sock", 1);
		guest_run(&guest);
		while (guest_nr(&guest) == 0)
			usleep(1000);
		qmp_do(&daemon.qmp, "x-export-limit",
		       "{'id': 'free', 'limits': {'%s': 0}}", kinds[i]);
		while (guest_nr(&guest) < 1000)
			usleep(1000);
		guest_end(&guest);
	}
	daemon_stop(&daemon);
}

/* Under a limit that lets a request go in an hour. Returns how long it took. */
static uint64_t stop_nsec(struct daemon *daemon, const char *limits)
{
	struct guest guest;
	uint64_t begin_nsec;
	uint64_t nsec;
	uint32_t base;

	qmp_do(&daemon->qmp, "x-export-limit", "{'id': 'free', 'limits': {%s}}",
	       limits);
	guest_begin(&guest, daemon, "free.sock", 1);
	guest_run(&guest);
	AWAIT(guest_nr(&guest) > 0);
	guest_pause(&guest);
	begin_nsec = nsec_now();
	assert_int_equal(fe_session_get_base(&guest.client.session, 0, &base),
			 0);
	nsec = nsec_now() - begin_nsec;
	assert_true(client_is_drained(&guest.client.vrings[0], base));
	client_close(&guest.client);
	qmp_do(&daemon->qmp, "x-export-limit", "{'id': 'free', 'limits': {}}");
	return nsec;
}

/* As long as a message takes, unless the machine stands still meanwhile. */
static void a_stop_is_answered_at_once_whatever_the_limit(void **state)
{
	static const char *const limits[] = {
		"'iops-total': 1, 'iops-size': 1",
		"'iops-read': 1, 'iops-size': 1",
		"'bps-total': 1",
	};
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		unsigned int nr_tries = 1;

		while (stop_nsec(&daemon, limits[i]) > 3 * NSEC_PER_SEC)
			assert_true(nr_tries++ < MAX_STOPS);
	}
	daemon_stop(&daemon);
}

static void a_disk_that_waits_costs_no_cpu(void **state)
{
	struct daemon daemon;
	struct guest guest;
	double usec = 1e9;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	qmp_do(&daemon.qmp, "x-export-limit",
	       "{'id': 'free', 'limits': {'iops-total': 5}}");
	guest_begin(&guest, &daemon, "free.sock", 2);
	guest_run(&guest);
	for (unsigned int i = 0; usec > 5000 && i < MAX_TRIES; i++) {
		usleep(200000);
		usec = cputime_of(daemon.server.pid);
		usleep(1000000);
		usec = cputime_of(daemon.server.pid) - usec;
		print_message("# %.0f us of CPU time in a second\n", usec);
	}
	assert_true(usec <= 5000); /* a loop that looks takes a million */
	guest_end(&guest);
	daemon_stop(&daemon);
}

/* One has four queues, and four times as much under way. */
static void disks_of_a_group_are_served_alike(void **state)
{
	struct guest guests[2];
	struct guest *both[] = { &guests[0], &guests[1] };
	struct daemon daemon;
	double rates[2] = { 0 };
	double sum;
	bool alike = false;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	guest_begin(&guests[0], &daemon, "e0.sock", 4);
	guest_begin(&guests[1], &daemon, "e1.sock", 1);
	guests[0].pumps[3].type = VIRTIO_BLK_T_OUT;
	guest_run(&guests[0]);
	guest_run(&guests[1]);
	for (unsigned int i = 0; !alike && i < MAX_TRIES; i++) {
		sum = measure(both, 2, rates);
		assert_not_above(sum, 2000, 5);
		alike = sum >= 1900 && rates[1] >= 0.45 * sum &&
			rates[1] <= 0.55 * sum;
	}
	assert_true(alike);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(atomic_load(&guests[0].pumps[i].nr) > 10);

	/* what one does not use is the other's */
	guest_pause(&guests[0]);
	client_close(&guests[0].client);
	expect_rate(&guests[1], 2000);
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': '/objects/g', 'property': 'limits', 'value': "
	       "{'iops-total': 700}}");
	expect_rate(&guests[1], 700);
	guest_end(&guests[1]);
	daemon_stop(&daemon);
}

static json_int_t limit_of(struct daemon *daemon, const char *name)
{
	json_t *limits = qmp_ask(&daemon->qmp, "qom-get",
				 "{'path': 'g', 'property': 'limits'}");
	json_int_t value = json_integer_value(json_object_get(limits, name));

	json_decref(limits);
	return value;
}

static void groups_are_made_changed_and_told(void **state)
{
	struct daemon daemon;
	json_t *exports;
	json_t *first;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	assert_int_equal(limit_of(&daemon, "iops-total"), 2000);
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': 'g', 'property': 'limits', 'value': {'bps-write': 7, "
	       "'bps-write-max': 9, 'bps-write-max-length': 3}}");
	assert_int_equal(limit_of(&daemon, "iops-total"), 2000);
	assert_int_equal(limit_of(&daemon, "bps-write-max-length"), 3);
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': 'g', 'property': 'limits', 'value': {'bps-write': "
	       "0}}");
	assert_int_equal(limit_of(&daemon, "bps-write-max"), 0);
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'throttle-group', 'id': 'h', 'limits': "
	       "{'iops-read': 10, 'iops-size': 4096}}");
	exports = qmp_ask(&daemon.qmp, "query-block-exports", "{}");
	first = json_array_get(exports, 0);
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(first, "x-throttle-groups"), 0)),
		"g");
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(first, "x-limits"), "iops-total")),
		0);
	json_decref(exports);
	qmp_fails(&daemon.qmp, "in use", "object-del", "{'id': 'g'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'h'}");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e0'}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'g0'}");
	qmp_fails(&daemon.qmp, "in use", "object-del", "{'id': 'g'}");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e1'}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'g1'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'g'}");
	daemon_stop(&daemon);
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const struct {
		const char *why;
		const char *command;
		const char *arguments;
	} cases[] = {
		{ "cannot be lower", "qom-set",
		  "{'path': 'g', 'property': 'limits', 'value': {'iops-total': "
		  "10, 'iops-total-max': 9}}" },
		{ "needs iops-read", "qom-set",
		  "{'path': 'g', 'property': 'limits', 'value': "
		  "{'iops-read-max': 9}}" },
		{ "value.iops-total' takes a number from 0", "qom-set",
		  "{'path': 'g', 'property': 'limits', 'value': {'iops-total': "
		  "-1}}" },
		{ "'value.x' is unexpected", "qom-set",
		  "{'path': 'g', 'property': 'limits', 'value': {'x': 1}}" },
		{ "'value' is missing", "qom-set",
		  "{'path': 'g', 'property': 'limits'}" },
		{ "there is 'limits'", "qom-get",
		  "{'path': 'g', 'property': 'x'}" },
		{ "no throttle-group 'x'", "qom-get",
		  "{'path': 'x', 'property': 'limits'}" },
		{ "needs iops-total-max as well", "object-add",
		  "{'qom-type': 'throttle-group', 'id': 'h', 'x-iops-total': "
		  "1, 'x-iops-total-max-length': 5}" },
		{ "duplicate", "object-add",
		  "{'qom-type': 'throttle-group', 'id': 'g'}" },
		{ "duplicate", "object-add",
		  "{'qom-type': 'throttle-group', 'id': 't0'}" },
		{ "duplicate", "object-add",
		  "{'qom-type': 'iothread', 'id': 'g'}" },
		{ "does not exist", "blockdev-add",
		  "{'driver': 'throttle', 'node-name': 'x', 'throttle-group': "
		  "'x', 'file': 'n'}" },
		{ "'throttle-group' is missing", "blockdev-add",
		  "{'driver': 'throttle', 'node-name': 'x', 'file': 'n'}" },
		{ "is not found", "x-export-limit",
		  "{'id': 'x', 'limits': {'iops-total': 1}}" },
		{ "'limits' is missing", "x-export-limit", "{'id': 'free'}" },
		{ "iops-size needs", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'x', 'node-name': 'n', "
		  "'addr': {'type': 'unix', 'path': 'x.sock'}, 'x-limits': "
		  "{'iops-size': 512}}" },
	};
	struct daemon daemon;
	int nr_fds;

	(void)state;
	daemon_start(&daemon, grouped_disks);
	nr_fds = server_nr_fds(&daemon.server);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		qmp_fails(&daemon.qmp, cases[i].why, cases[i].command, "%s",
			  cases[i].arguments);
	assert_int_equal(limit_of(&daemon, "iops-total"), 2000);
	assert_int_equal(server_nr_fds(&daemon.server), nr_fds);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_keeps_to_its_limits_as_they_change),
		cmocka_unit_test(what_waits_goes_at_once_when_its_limit_goes),
		cmocka_unit_test(a_stop_is_answered_at_once_whatever_the_limit),
		cmocka_unit_test(a_disk_that_waits_costs_no_cpu),
		cmocka_unit_test(disks_of_a_group_are_served_alike),
		cmocka_unit_test(groups_are_made_changed_and_told),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-limits", tests, NULL, NULL);
}
