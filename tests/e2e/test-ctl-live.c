/* SPDX-License-Identifier: MIT */
/*
 * ctl-live - a disk is limited, paused, drained and watched while it is used
 *
 * What a command says is one half; the other is what the guest gets done. That
 * is measured again if it is wrong: on a busy machine a guest may stand still,
 * and has saved up some of its limit when it goes on.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/ctl.h"
#include "tests/e2e/load.h"
#include "tests/frontend/clock.h"

#define LIMIT	    800 /* requests a second */
#define WINDOW_USEC 300000
#define MAX_TRIES   50

/* Nothing but the exit status. */
static void does(struct daemon *daemon, const char *words)
{
	expect(ctl(daemon, "%s 2>&1", words), 0);
	assert_string_equal(output, "");
}

static void refuses(struct daemon *daemon, int status, const char *words,
		    const char *why)
{
	expect(ctl(daemon, "%s 2>&1 >/dev/null", words), status);
	has(why);
}

static json_int_t sum_of(json_t *disk, const char *name)
{
	json_int_t sum = 0;
	json_t *queue;
	size_t i;

	json_array_foreach(json_object_get(disk, "queues"), i, queue)
	{
		assert_true(json_is_integer(json_object_get(queue, name)));
		sum += json_integer_value(json_object_get(queue, name));
	}
	return sum;
}

struct counts {
	json_int_t ended;
	json_int_t under_way;
};

static struct counts count(struct daemon *daemon, const char *id)
{
	struct counts counts;
	json_t *list;
	json_t *disk;

	expect(ctl(daemon, "--json stats %s", id), 0);
	list = ctl_output();
	assert_int_equal(json_array_size(list), 1);
	disk = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(disk, "id")), id);
	counts = (struct counts){
		.ended = sum_of(disk, "reads") + sum_of(disk, "writes") +
			 sum_of(disk, "errors"),
		.under_way = sum_of(disk, "under-way"),
	};
	json_decref(list);
	return counts;
}

/* How many requests end in a second, by the daemon's own counters. */
static double rate_of(struct daemon *daemon, const char *id)
{
	uint64_t begun = fe_now_usec();
	json_int_t before = count(daemon, id).ended;
	json_int_t ended;

	usleep(WINDOW_USEC);
	ended = count(daemon, id).ended - before;
	return (double)ended * 1e6 / (double)(fe_now_usec() - begun);
}

static void a_limit_holds_at_once_and_is_taken_away_at_once(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e1.sock"), 2, false);
	load_goes_on(&load);
	ctl_tells(&daemon, "limit e1 iops-total=800 bps-read=1G",
		  "{'id': 'e1', 'limits': {'iops-total': 800, 'bps-read': "
		  "1073741824}}");
	expect(ctl(&daemon, "--json show e1"), 0);
	ctl_has("'limits': {'iops-total': 800, 'bps-read': 1073741824}");
	expect(ctl(&daemon, "list"), 0);
	has("iops-total=800,bps-read=1073741824");
	rate_of(&daemon, "e1"); /* until what was saved up is used up */
	for (unsigned int i = 0; rate_of(&daemon, "e1") >= 1.25 * LIMIT; i++)
		assert_true(i < MAX_TRIES); /* each time, it is no limit */
	does(&daemon, "limit e1 none");
	expect(ctl(&daemon, "--json show e1"), 0);
	ctl_has("'limits': {}");
	for (unsigned int i = 0; rate_of(&daemon, "e1") < 2 * LIMIT; i++)
		assert_true(i < MAX_TRIES);
	load_end(&load);
	daemon_stop(&daemon);
}

static void a_limit_that_makes_no_sense_is_refused(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	does(&daemon, "limit e0 iops-total=7");
	refuses(&daemon, 2, "limit e0", "give ringhost ctl limit ID NAME=N");
	refuses(&daemon, 2, "limit e0 iops=5",
		"iops=5 is no limit: give NAME=N with iops-total,");
	refuses(&daemon, 2, "limit e0 iops-total", "iops-total is no limit");
	refuses(&daemon, 2, "limit e0 iops-total=1.5",
		"the limit is a number, which may end in k, M, G or T");
	refuses(&daemon, 2, "limit e0 iops-total=-1", "the limit is a number");
	refuses(&daemon, 2, "limit e0 none bps-read=5", "none stands alone");
	refuses(&daemon, 1, "limit e0 iops-total=99999999999999999",
		"takes a number from 0 to 1000000000000000");
	refuses(&daemon, 1, "limit e0 bps-write-max=5",
		"bps-write-max needs bps-write as well");
	refuses(&daemon, 1, "limit none iops-total=5",
		"Export 'none' is not found");
	expect(ctl(&daemon, "--json show e0"), 0);
	ctl_has("'limits': {'iops-total': 7}");
	daemon_stop(&daemon);
}

static void use_other_disk(struct daemon *daemon)
{
	struct client client = { 0 };

	assert_int_equal(
		client_open(&client, daemon_at(daemon, "e1.sock"), NULL), 0);
	assert_int_equal(client_load(&client, 0, 1000), 0);
	client_close(&client);
}

static void while_a_disk_is_paused_no_request_ends(void **state)
{
	struct daemon daemon;
	struct load load;
	struct counts counts;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	load_goes_on(&load);
	does(&daemon, "pause e0");
	counts = count(&daemon, "e0");
	assert_true(counts.ended > 0);
	assert_int_equal(counts.under_way, 0);
	expect(ctl(&daemon, "--json show e0"), 0);
	ctl_has("'state': 'paused', 'connected': true");
	expect(ctl(&daemon, "list"), 0);
	has(" paused ");
	use_other_disk(&daemon);
	assert_int_equal(count(&daemon, "e0").ended, counts.ended);
	ctl_tells(&daemon, "pause e0", "{}");
	does(&daemon, "resume e0");
	load_goes_on(&load);
	expect(ctl(&daemon, "--json show e0"), 0);
	ctl_has("'state': 'connected'");
	ctl_tells(&daemon, "resume e0", "{}");
	load_end(&load);
	refuses(&daemon, 2, "pause", "give ringhost ctl pause ID");
	refuses(&daemon, 2, "resume a b", "give ringhost ctl resume ID");
	refuses(&daemon, 1, "pause none", "Export 'none' is not found");
	refuses(&daemon, 1, "resume none", "Export 'none' is not found");
	daemon_stop(&daemon);
}

/* The second write to the disk e, which the daemon has taken. */
static struct fe_blk_request *begin_second_write(struct daemon *daemon,
						 struct client *client)
{
	struct fe_blk_request *request;

	assert_int_equal(client_open(client, daemon_at(daemon, "e.sock"), NULL),
			 0);
	assert_int_equal(client_check_io(client, 0, 1), 0);
	request = client_begin_write(client, 0);
	assert_non_null(request);
	assert_int_equal(client_check_io(client, 0, 2), 0);
	return request;
}

static void a_drain_returns_when_nothing_is_under_way(void **state)
{
	struct client client = { 0 };
	struct fe_blk_request *request;
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	daemon_export_faulty(&daemon, "e",
			     "['write,nth=2,delay=300ms', "
			     "'flush,nth=3,error=EIO']");
	request = begin_second_write(&daemon, &client);
	does(&daemon, "drain e");
	assert_int_equal(fe_blk_wait(request, 0), 0);
	assert_int_equal(fe_blk_result(request), 0);
	assert_int_equal(count(&daemon, "e").under_way, 0);
	fe_blk_put(request);
	ctl_tells(&daemon, "drain e", "{}");
	refuses(&daemon, 1, "drain e",
		"the image cannot be flushed: Input/output error");
	refuses(&daemon, 1, "drain none", "Export 'none' is not found");
	refuses(&daemon, 2, "drain e --hard", "--hard is no option of");
	client_close(&client);
	daemon_stop(&daemon);
}

static void a_drain_is_waited_for_as_long_as_is_said(void **state)
{
	struct client client = { 0 };
	struct fe_blk_request *request;
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	daemon_export_faulty(&daemon, "e", "['write,nth=2,delay=600s']");
	request = begin_second_write(&daemon, &client);
	refuses(&daemon, 1, "--timeout=1 drain e",
		"it does not answer; --timeout says how long to wait");
	assert_false(request->done);
	refuses(&daemon, 2, "--timeout=x drain e",
		"--timeout=x is refused: it takes 0 to 86400 seconds");
	daemon_kill(&daemon);
	client_close(&client);
	server_clean_up(&daemon.server);
}

static void write_file(struct daemon *daemon, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/conf", daemon->server.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void start_with_file(struct daemon *daemon, const char *text)
{
	static const char *const from_file[] = { "--config", "conf", NULL };

	daemon_prepare(daemon);
	write_file(daemon, text);
	daemon_begin(daemon, from_file);
}

#define NULL_DISK "[blockdev d]\ndriver = null-co\nsize = 8M\n"
#define EXPORT                                                                 \
	"[export v]\nnode-name = d\naddr.type = unix\naddr.path = v.sock\n"

/* That which fails does not keep the rest from being done. */
static void a_reload_says_what_it_has_done_and_what_not(void **state)
{
	struct daemon daemon;

	(void)state;
	start_with_file(&daemon, NULL_DISK);
	does(&daemon, "reload");
	ctl_tells(&daemon, "reload",
		  "{'added': [], 'removed': [], 'changed': [], 'failed': []}");
	write_file(&daemon, NULL_DISK EXPORT);
	expect(ctl(&daemon, "reload"), 0);
	assert_string_equal(output, "added    export v\n");
	write_file(&daemon, NULL_DISK EXPORT "writable = on\n"
					     "[blockdev e]\ndriver = file\n"
					     "filename = none\n");
	expect(ctl(&daemon, "reload 2>why; code=$?; cat why; exit $code"), 1);
	has("changed  export v\n");
	has("/conf:9: [blockdev e]: none does not exist");
	expect(ctl(&daemon, "--json reload 2>why"), 1);
	ctl_has("'changed': []");
	has("\"item\": \"blockdev e\"");
	write_file(&daemon, "[blockdev");
	refuses(&daemon, 1, "reload",
		"/conf:1: a ']' is missing: nothing is changed");
	refuses(&daemon, 2, "reload x", "give ringhost ctl reload");
	expect(ctl(&daemon, "list"), 0);
	has("\nv ");
	daemon_stop(&daemon);
	daemon_start(&daemon, NULL);
	refuses(&daemon, 1, "reload", "was started without --config");
	daemon_stop(&daemon);
}

/* `ringhost ctl events`, while it runs. */
struct watcher {
	FILE *file;
	char line[1024]; /* the last one */
};

/* Wait for a line that has part. */
static void next_line(struct watcher *watcher, const char *part)
{
	struct pollfd ready = { .fd = fileno(watcher->file), .events = POLLIN };

	do {
		if (poll(&ready, 1, FE_PATIENCE_MSEC) != 1)
			fail_msg("no line has '%s'", part);
		assert_non_null(fgets(watcher->line, sizeof(watcher->line),
				      watcher->file));
	} while (!strstr(watcher->line, part));
}

/* It is connected when it has told the first event. */
static void watcher_begin(struct watcher *watcher, struct daemon *daemon,
			  const char *option)
{
	struct pollfd ready = { .events = POLLIN };
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	char command[512];

	snprintf(command, sizeof(command),
		 "exec %s ctl --socket=%s %s events 2>&1", program(),
		 daemon->server.socket, option);
	watcher->file = popen(command, "re");
	assert_non_null(watcher->file);
	setvbuf(watcher->file, NULL, _IONBF, 0); /* for poll(2) */
	ready.fd = fileno(watcher->file);
	do {
		assert_true(fe_now_usec() < deadline);
		qmp_do(&daemon->qmp, "block_resize",
		       "{'node-name': 'disk0', 'size': 16777216}");
		qmp_do(&daemon->qmp, "block_resize",
		       "{'node-name': 'disk0', 'size': 8388608}");
	} while (poll(&ready, 1, 20) == 0);
	next_line(watcher, "X_EXPORT_RESIZED");
}

static int watcher_end(struct watcher *watcher)
{
	int status = pclose(watcher->file);

	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void use_and_leave(struct daemon *daemon)
{
	struct client client = { 0 };

	assert_int_equal(
		client_open(&client, daemon_at(daemon, "e1.sock"), NULL), 0);
	client_close(&client);
}

static void events_are_told_in_words(void **state)
{
	struct watcher watcher;
	struct daemon daemon;
	char text[64];
	int length = 0;
	int digits;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	watcher_begin(&watcher, &daemon, "");
	if (sscanf(watcher.line, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d%*5c %n", &digits,
		   &length) != 1 ||
	    strncmp(watcher.line + length, "X_EXPORT_RESIZED ", 17) != 0)
		fail_msg("this is no event: %s", watcher.line);
	assert_non_null(strstr(watcher.line, " id=e0"));
	assert_true(strstr(watcher.line, " size=16777216") ||
		    strstr(watcher.line, " size=8388608"));
	use_and_leave(&daemon);
	next_line(&watcher, "X_EXPORT_CONNECTED id=e1");
	snprintf(text, sizeof(text), " pid=%d", (int)getpid());
	assert_non_null(strstr(watcher.line, text));
	next_line(&watcher, "X_EXPORT_DISCONNECTED id=e1");
	daemon_end(&daemon);
	next_line(&watcher, "SHUTDOWN");
	assert_int_equal(watcher_end(&watcher), 0);
	server_clean_up(&daemon.server);
}

static void events_are_told_as_they_came(void **state)
{
	struct watcher watcher;
	struct daemon daemon;
	json_t *event;
	json_t *data;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	watcher_begin(&watcher, &daemon, "--json");
	use_and_leave(&daemon);
	next_line(&watcher, "X_EXPORT_CONNECTED");
	event = json_loads(watcher.line, 0, NULL);
	data = json_object_get(event, "data");
	assert_string_equal(json_string_value(json_object_get(data, "id")),
			    "e1");
	assert_int_equal(json_integer_value(json_object_get(data, "pid")),
			 getpid());
	assert_true(json_is_integer(json_object_get(
		json_object_get(event, "timestamp"), "seconds")));
	json_decref(event);
	refuses(&daemon, 2, "events e0", "give ringhost ctl events");
	/* One that does not say that it ends is missed. */
	daemon_kill(&daemon);
	next_line(&watcher, "it has closed the connection");
	assert_int_equal(watcher_end(&watcher), 1);
	server_clean_up(&daemon.server);
}

static void
what_is_counted_is_told_of_the_disks_that_are_asked_for(void **state)
{
	struct daemon daemon;
	json_t *list;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	use_other_disk(&daemon);
	assert_int_equal(count(&daemon, "e1").ended, 1000);
	assert_int_equal(count(&daemon, "e0").ended, 0);
	expect(ctl(&daemon, "--json stats"), 0);
	list = ctl_output();
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	expect(ctl(&daemon, "stats e1"), 0);
	has("\ne1      all ");
	assert_null(strstr(output, "e0"));
	refuses(&daemon, 2, "stats e0 e1", "give ringhost ctl stats [ID]");
	refuses(&daemon, 2, "stats --queue=1", "--queue=1 is no option of");
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_limit_holds_at_once_and_is_taken_away_at_once),
		cmocka_unit_test(a_limit_that_makes_no_sense_is_refused),
		cmocka_unit_test(while_a_disk_is_paused_no_request_ends),
		cmocka_unit_test(a_drain_returns_when_nothing_is_under_way),
		cmocka_unit_test(a_drain_is_waited_for_as_long_as_is_said),
		cmocka_unit_test(a_reload_says_what_it_has_done_and_what_not),
		cmocka_unit_test(events_are_told_in_words),
		cmocka_unit_test(events_are_told_as_they_came),
		cmocka_unit_test(
			what_is_counted_is_told_of_the_disks_that_are_asked_for),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("ctl-live", tests, NULL, NULL);
}
