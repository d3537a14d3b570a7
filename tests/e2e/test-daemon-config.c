/* SPDX-License-Identifier: MIT */
/*
 * daemon - disks of configuration files, which are read again while it runs
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

static const char *const from_files[] = { "--config", "conf", NULL };

#define DISK(name, image)                                                      \
	"[blockdev " name "]\ndriver = file\nfilename = " image "\n"
#define EXPORT(name, node)                                                     \
	"[export " name "]\nnode-name = " node "\naddr.type = unix\n"          \
	"addr.path = " name ".sock\nwritable = on\n"

static const char two_disks[] = "[iothread io1]\n"
	/* before what it stands on */
	EXPORT("vm1", "disk1") "iothread = io1\n"
			       "num-queues = 2\n"
			       "[blockdev disk1]\ndriver = raw\n"
			       "file = file1\n" DISK("file1", "a.img");

static void write_file(struct daemon *daemon, const char *name,
		       const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", daemon->server.dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_file(struct daemon *daemon, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", daemon->server.dir, name);
	assert_int_equal(unlink(path), 0);
}

/* vm1 of a.img, with what it stands on; and vm2, which forgets. */
static void prepare(struct daemon *daemon)
{
	char path[160];

	daemon_prepare(daemon);
	snprintf(path, sizeof(path), "%s/conf", daemon->server.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/conf/conf.d", daemon->server.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(daemon, "conf/1.conf", two_disks);
	write_file(
		daemon, "conf/conf.d/vm2.conf",
		EXPORT("vm2",
		       "disk2") "[blockdev disk2]\ndriver = null-co\nsize = 8M\n");
}

static void start(struct daemon *daemon)
{
	prepare(daemon);
	daemon_begin(daemon, from_files);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a list of a report, sorted, with ", " between them. */
static const char *names_in(json_t *report, const char *list)
{
	static char text[512];
	json_t *entries = json_object_get(report, list);
	const char *names[32];
	size_t nr = json_array_size(entries);
	size_t at = 0;

	assert_true(nr < ARRAY_SIZE(names));
	for (size_t i = 0; i < nr; i++) {
		json_t *entry = json_array_get(entries, i);

		names[i] = json_string_value(
			json_is_string(entry) ? entry :
						json_object_get(entry, "item"));
	}
	qsort(names, nr, sizeof(names[0]), by_name);
	text[0] = '\0';
	for (size_t i = 0; i < nr; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       i ? ", " : "", names[i]);
	return text;
}

static json_t *reload(struct daemon *daemon, const char *mode)
{
	json_t *report = qmp_ask(&daemon->qmp, "x-config-reload",
				 "{'mode': '%s'}", mode);

	if (!report)
		fail_msg("%s", qmp_error);
	return report;
}

static void expect_reload(struct daemon *daemon, const char *mode,
			  const char *added, const char *removed,
			  const char *changed)
{
	json_t *report = reload(daemon, mode);

	assert_string_equal(names_in(report, "failed"), "");
	assert_string_equal(names_in(report, "added"), added);
	assert_string_equal(names_in(report, "removed"), removed);
	assert_string_equal(names_in(report, "changed"), changed);
	json_decref(report);
}

/* Why it failed; the first one of its list. */
static void expect_failure(json_t *report, const char *file, int line,
			   const char *why)
{
	json_t *entry = json_array_get(json_object_get(report, "failed"), 0);
	const char *text = json_string_value(json_object_get(entry, "why"));
	const char *name = json_string_value(json_object_get(entry, "file"));

	assert_non_null(entry);
	if (!strstr(text, why))
		fail_msg("failed with '%s', not with '%s'", text, why);
	assert_non_null(strstr(name, file));
	assert_int_equal(json_integer_value(json_object_get(entry, "line")),
			 line);
}

/* A guest uses the disk and goes, which was noticed when this returns. */
static void use(struct daemon *daemon, const char *id)
{
	struct client client = { 0 };
	char socket[32];

	snprintf(socket, sizeof(socket), "%s.sock", id);
	assert_int_equal(client_open(&client, daemon_at(daemon, socket), NULL),
			 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);
	AWAIT(!daemon_export_is(daemon, id, "x-connected"));
}

static void disks_of_files_are_served(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	use(&daemon, "vm1");
	use(&daemon, "vm2");
	expect_reload(&daemon, "hard", "", "", "");
	daemon_stop(&daemon);
}

/* Whose front-end has the same connection all the time */
static void what_files_do_not_change_notices_nothing(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	start(&daemon);
	load_begin(&load, daemon_at(&daemon, "vm1.sock"), 2, true);
	for (unsigned int i = 0; i < 10; i++) {
		write_file(&daemon, "conf/2.conf",
			   "[iothread io3]\n" EXPORT(
				   "vm3",
				   "disk3") "iothread = io3\n" DISK("disk3",
								    "b.img"));
		expect_reload(&daemon, "safe",
			      "blockdev disk3, export vm3, iothread io3", "",
			      "");
		use(&daemon, "vm3");
		write_file(&daemon, "conf/2.conf",
			   "[iothread io3]\npoll-max-ns = 1000\n" EXPORT(
				   "vm3",
				   "disk3") "iothread = io3\n" DISK("disk3",
								    "b.img"));
		expect_reload(&daemon, "safe", "", "",
			      "export vm3, iothread io3");
		write_file(&daemon, "conf/2.conf",
			   EXPORT("vm3", "disk3") DISK("disk3", "b.img"));
		expect_reload(&daemon, "safe", "", "iothread io3",
			      "export vm3");
		use(&daemon, "vm3");
		remove_file(&daemon, "conf/2.conf");
		expect_reload(&daemon, "safe", "", "blockdev disk3, export vm3",
			      "");
	}
	load_goes_on(&load);
	load_end(&load);
	daemon_stop(&daemon);
}

static void what_is_in_use_is_changed_by_force_only(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };
	json_t *report;

	(void)state;
	start(&daemon);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "vm2.sock"), NULL), 0);
	write_file(
		&daemon, "conf/conf.d/vm2.conf",
		EXPORT("vm2",
		       "disk2") "num-queues = 2\n"
				"[blockdev disk2]\ndriver = null-co\nsize = 8M\n" DISK(
					"disk3", "b.img"));
	report = reload(&daemon, "safe");
	assert_string_equal(names_in(report, "failed"), "export vm2");
	assert_string_equal(names_in(report, "added"), "blockdev disk3");
	expect_failure(report, "/conf/conf.d/vm2.conf", 1,
		       "a front-end is connected");
	json_decref(report);
	assert_int_equal(client_load(&client, 0, 10), 0);
	assert_true(daemon_export_is(&daemon, "vm2", "x-connected"));
	expect_reload(&daemon, "hard", "", "", "export vm2");
	assert_false(daemon_export_is(&daemon, "vm2", "x-connected"));
	client_close(&client);
	use(&daemon, "vm2");
	daemon_stop(&daemon);
}

/* It is still there, as it was, with what stands on it. */
static void a_disk_is_not_lost_by_what_is_wrong_with_it(void **state)
{
	struct daemon daemon;
	json_t *report;

	(void)state;
	start(&daemon);
	write_file(
		&daemon, "conf/conf.d/vm2.conf",
		EXPORT("vm2",
		       "disk2") "[blockdev disk2]\ndriver = null-co\nsize = 8M\n"
				"siez = 9M\n");
	report = reload(&daemon, "safe");
	assert_string_equal(names_in(report, "failed"), "blockdev disk2");
	assert_string_equal(names_in(report, "changed"), "export vm2");
	expect_failure(report, "/conf/conf.d/vm2.conf", 9, "'siez'");
	json_decref(report);
	use(&daemon, "vm2");
	daemon_stop(&daemon);
}

/* Of others that are right, all is done. */
static void one_that_fails_stops_no_other_and_is_tried_again(void **state)
{
	struct daemon daemon;
	json_t *report;

	(void)state;
	start(&daemon);
	write_file(&daemon, "conf/2.conf",
		   EXPORT("vm3", "disk3") DISK("disk3", "none.img")
			   EXPORT("vm4", "disk4") DISK("disk4", "b.img"));
	report = reload(&daemon, "safe");
	assert_string_equal(names_in(report, "added"),
			    "blockdev disk4, export vm4");
	assert_string_equal(names_in(report, "failed"),
			    "blockdev disk3, export vm3");
	expect_failure(report, "/conf/2.conf", 6, "none.img");
	json_decref(report);
	assert_int_equal(run("cd %s && cp --sparse=always a.img none.img",
			     daemon.server.dir),
			 0);
	expect_reload(&daemon, "safe", "blockdev disk3, export vm3", "", "");
	daemon_stop(&daemon);
	prepare(&daemon);
	write_file(&daemon, "conf/2.conf", DISK("disk3", "none.img"));
	daemon_begin(&daemon, from_files);
	use(&daemon, "vm1");
	assert_int_equal(server_log_count(&daemon.server,
					  "2.conf:1: [blockdev disk3] cannot"),
			 1);
	daemon_stop(&daemon);
}

static void a_wrong_file_changes_nothing(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	remove_file(&daemon, "conf/conf.d/vm2.conf");
	write_file(&daemon, "conf/2.conf", "[exprot vm3]\n");
	qmp_fails(&daemon.qmp, "/conf/2.conf:1: [exprot vm3] is not known",
		  "x-config-reload", "{'mode': 'hard'}");
	use(&daemon, "vm2");
	qmp_fails(&daemon.qmp, "one of safe hard", "x-config-reload",
		  "{'mode': 'x'}");
	expect(run("cd %s && %s daemon --config conf 2>&1", daemon.server.dir,
		   program()),
	       1);
	has("/conf/2.conf:1: [exprot vm3] is not known");
	expect(run("cd %s && %s daemon --config none 2>&1", daemon.server.dir,
		   program()),
	       1);
	has("cannot read none");
	remove_file(&daemon, "conf/2.conf");
	expect_reload(&daemon, "safe", "", "blockdev disk2, export vm2", "");
	daemon_stop(&daemon);
}

static size_t nr_exports(struct daemon *daemon)
{
	return qmp_count(&daemon->qmp, "query-block-exports");
}

static void sighup_reads_the_files_again(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	remove_file(&daemon, "conf/conf.d/vm2.conf");
	kill(daemon.server.pid, SIGHUP);
	AWAIT(nr_exports(&daemon) == 1);
	daemon_stop(&daemon);
}

static void sighup_ends_nothing_where_there_are_no_files(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	kill(daemon.server.pid, SIGHUP);
	AWAIT(server_log_count(&daemon.server, "SIGHUP") > 0);
	assert_int_equal(nr_exports(&daemon), 2);
	qmp_fails(&daemon.qmp, "without --config", "x-config-reload", "{}");
	daemon_stop(&daemon);
}

/* They are ours no more, or never were. */
static void what_clients_have_done_is_left_alone(void **state)
{
	struct daemon daemon;
	json_t *report;

	(void)state;
	start(&daemon);
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'vm3', 'node-name': 'disk2', "
	       "'addr': {'type': 'unix', 'path': 'vm3.sock'}}");
	remove_file(&daemon, "conf/conf.d/vm2.conf");
	report = reload(&daemon, "hard");
	assert_string_equal(names_in(report, "removed"), "export vm2");
	assert_string_equal(names_in(report, "failed"), "blockdev disk2");
	expect_failure(report, "vm2.conf", 6, "in use");
	json_decref(report);
	assert_int_equal(nr_exports(&daemon), 2);
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'vm3'}");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'vm1'}");
	expect_reload(&daemon, "safe", "export vm1", "blockdev disk2", "");
	daemon_stop(&daemon);
}

static void control_sockets_and_settings_are_for_the_start(void **state)
{
	struct daemon daemon;
	struct qmp qmp;
	json_t *report;
	char path[160];
	char text[256];

	(void)state;
	prepare(&daemon);
	snprintf(path, sizeof(path), "%s/main", daemon.server.dir);
	snprintf(text, sizeof(text),
		 "[monitor main]\npath = %s\n[daemon]\npidfile = pid\n", path);
	write_file(&daemon, "conf/0.conf", text);
	daemon_begin(&daemon, from_files);
	AWAIT(server_listens(path));
	qmp_open(&qmp, path);
	qmp_do(&qmp, "query-version", "{}");
	qmp_close(&qmp);
	assert_int_equal(run("cd %s && test $(cat pid) = %d", daemon.server.dir,
			     (int)daemon.server.pid),
			 0);
	write_file(&daemon, "conf/0.conf", "[monitor main]\npath = other\n");
	report = reload(&daemon, "safe");
	assert_string_equal(names_in(report, "failed"), "daemon, monitor main");
	expect_failure(report, "0.conf", 1, "only read at start");
	json_decref(report);
	expect(run("cd %s && printf '[daemon]\\nhelp=on\\n' >h.conf && "
		   "%s daemon --config h.conf 2>&1",
		   daemon.server.dir, program()),
	       1);
	has("/h.conf:2: [daemon]: 'help' is refused");
	daemon_end(&daemon);
	expect(run("test ! -e %s/pid", daemon.server.dir), 0);
	server_clean_up(&daemon.server);
}

static void storage_that_does_not_answer_delays_nobody_else(void **state)
{
	struct daemon daemon;
	int fd;

	(void)state;
	start(&daemon);
	fd = daemon_hold_image(&daemon, "b.img");
	write_file(&daemon, "conf/2.conf",
		   EXPORT("vm3", "disk3") DISK("disk3", "b.img")
			   EXPORT("vm4", "disk4") DISK("disk4", "c.img"));
	expect(run("cd %s && cp --sparse=always a.img c.img",
		   daemon.server.dir),
	       0);
	kill(daemon.server.pid, SIGHUP);
	AWAIT(nr_exports(&daemon) == 3);
	use(&daemon, "vm4");
	qmp_fails(&daemon.qmp, "under way", "x-config-reload", "{}");
	close(fd);
	AWAIT(nr_exports(&daemon) == 4);
	use(&daemon, "vm3");
	daemon_stop(&daemon);
}

/* False, too, if it is gone. */
static bool is_removed_now(struct daemon *daemon, const char *id)
{
	json_t *export =
		qmp_find(&daemon->qmp, "query-block-exports", "{}", "id", id);
	bool is = json_is_true(json_object_get(export, "shutting-down"));

	json_decref(export);
	return is;
}

/* Because of what is under way, that is. */
static bool is_refused_to_take_over(struct daemon *daemon)
{
	json_t *there;
	json_t *answer;
	struct qmp taker;

	qmp_open(&taker, daemon->server.socket);
	there = qmp_ask(&taker, "x-query-hand-over", "{}");
	answer = qmp_ask(&taker, "x-hand-over", "{'generation': %lld}",
			 (long long)json_integer_value(
				 json_object_get(there, "generation")));
	json_decref(there);
	json_decref(answer);
	qmp_close(&taker);
	return !answer && strstr(qmp_error, "A command is under way");
}

/* Returns false if that took so long that nothing was to be seen. */
static bool reload_behind_a_write_of_a_second(void)
{
	static const char slow_disk[] =
		DISK("slow", "b.img") "x-fault = write,nth=1,delay=1s\n" EXPORT(
			"vm3", "slow");
	struct client client = { 0 };
	struct daemon daemon;
	struct qmp other;
	uint64_t end_usec;
	bool refused;

	prepare(&daemon);
	write_file(&daemon, "conf/3.conf", slow_disk);
	daemon_begin(&daemon, from_files);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "vm3.sock"), NULL), 0);
	end_usec = fe_deadline(1000);
	assert_non_null(client_begin_write(&client, 0));
	assert_int_equal(client_check_io(&client, 0, 1), 0); /* it is taken */
	remove_file(&daemon, "conf/3.conf");
	qmp_open(&other, daemon.server.socket);
	qmp_order(&other, "x-config-reload", "{'mode': 'hard'}");
	AWAIT(is_removed_now(&daemon, "vm3") || fe_now_usec() >= end_usec);
	refused = is_refused_to_take_over(&daemon);
	assert_true(refused || fe_now_usec() >= end_usec);
	json_decref(qmp_answer(&other));
	qmp_close(&other);
	client_close(&client);
	daemon_stop(&daemon);
	return refused;
}

/* What is gone already would come back here, and not there. */
static void nobody_takes_over_in_the_middle_of_a_reload(void **state)
{
	(void)state;
	daemon_play(reload_behind_a_write_of_a_second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_of_files_are_served),
		cmocka_unit_test(what_files_do_not_change_notices_nothing),
		cmocka_unit_test(what_is_in_use_is_changed_by_force_only),
		cmocka_unit_test(a_disk_is_not_lost_by_what_is_wrong_with_it),
		cmocka_unit_test(
			one_that_fails_stops_no_other_and_is_tried_again),
		cmocka_unit_test(a_wrong_file_changes_nothing),
		cmocka_unit_test(sighup_reads_the_files_again),
		cmocka_unit_test(sighup_ends_nothing_where_there_are_no_files),
		cmocka_unit_test(what_clients_have_done_is_left_alone),
		cmocka_unit_test(
			storage_that_does_not_answer_delays_nobody_else),
		cmocka_unit_test(nobody_takes_over_in_the_middle_of_a_reload),
		cmocka_unit_test(
			control_sockets_and_settings_are_for_the_start),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-config", tests, NULL, NULL);
}
