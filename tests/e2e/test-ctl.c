/* SPDX-License-Identifier: MIT */
/*
 * ctl - a daemon is looked at and changed from a shell
 *
 * What a command prints as JSON is compared by meaning, and what it has done
 * with what the daemon says and a guest sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/e2e/ctl.h"
#include "tests/e2e/load.h"

static void disks_are_listed_with_all_that_is_known(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	ctl_tells(&daemon, "list",
		  "[{'id': 'e0', 'node-name': 'disk0', 'image': 'a.img', "
		  "'driver': 'raw', 'size': 8388608, 'writable': true, "
		  "'direct': false, 'socket': 'e0.sock', 'connected': true, "
		  "'pid': %d, 'queues': 4, 'iothreads': ['t0'], 'limits': {}, "
		  "'groups': [], 'state': 'connected'}, "
		  "{'id': 'e1', 'node-name': 'disk1', 'image': '', 'driver': "
		  "'null-co', 'size': 8388608, 'writable': true, 'direct': "
		  "false, 'socket': 'e1.sock', 'connected': false, 'pid': 0, "
		  "'queues': 2, 'iothreads': ['io0'], 'limits': {}, 'groups': "
		  "[], 'state': 'waits'}]",
		  (int)getpid());
	expect(ctl(&daemon, "list"), 0);
	has("ID  IMAGE ");
	has("\ne0  a.img ");
	has("8 MiB  rw    connected");
	has("\ne1  null-co ");
	expect(ctl(&daemon, "show e0"), 0);
	has("\nsocket       e0.sock\n");
	has("\nsize         8 MiB (8388608 bytes)\n");
	expect(ctl(&daemon, "show none 2>&1"), 1);
	has("there is no disk none: ringhost ctl list shows those");
	client_close(&client);
	daemon_stop(&daemon);
}

static void limits_of_a_disk_and_of_its_group_are_listed(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'throttle-group', 'id': 'gold', 'limits': "
	       "{'iops-total': 100}}");
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'throttle', 'node-name': 'disk', 'throttle-group': "
	       "'gold', 'file': {'driver': 'null-co', 'node-name': 'null'}}");
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e', 'node-name': 'disk', "
	       "'addr': {'type': 'unix', 'path': 'e.sock'}}");
	expect(ctl(&daemon, "--json show e"), 0);
	ctl_has("'limits': {}, 'groups': ['gold']");
	expect(ctl(&daemon, "list"), 0);
	has("  group=gold\n");
	expect(ctl(&daemon, "limit e bps-total=1M"), 0);
	expect(ctl(&daemon, "show e"), 0);
	has("\nlimits       bps-total=1048576,group=gold\n");
	daemon_stop(&daemon);
}

static void a_disk_is_added_and_removed_in_one_step_each(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	ctl_tells(&daemon,
		  "add new --image=b.img --socket=new.sock --num-queues=2 "
		  "--iothread=t0 --iothread=t1 --direct --serial=S",
		  "{'id': 'new', 'node-name': 'new', 'image': '%s/b.img', "
		  "'socket': '%s/new.sock'}",
		  daemon.server.dir, daemon.server.dir);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "new.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 5), 0);
	expect(ctl(&daemon, "--json show new"), 0);
	ctl_has("'iothreads': ['t0', 't1'], 'direct': true, 'queues': 2");
	expect(ctl(&daemon, "remove new 2>&1"), 1);
	has("new is in use by process ");
	has("--hard cuts it off");
	ctl_tells(&daemon, "remove --hard new",
		  "{'id': 'new', 'node-closed': true}");
	client_close(&client);
	expect(ctl(&daemon, "add new --read-only --image=b.img "
			    "--socket=new.sock"),
	       0);
	expect(ctl(&daemon, "--json show new"), 0);
	ctl_has("'writable': false");
	ctl_tells(&daemon, "remove new --keep-node",
		  "{'id': 'new', 'node-closed': false}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'new'}");
	daemon_stop(&daemon);
}

/* Neither a node nor a socket is left of it. */
static void an_add_whose_second_half_fails_is_undone(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < 2; i++) {
		expect(ctl(&daemon, "add new --image=b.img --socket=e0.sock "
				    "2>&1"),
		       1);
		has("another process listens there");
	}
	expect(ctl(&daemon, "add e0 --image=b.img --socket=n.sock 2>&1"), 1);
	has("block export id 'e0' already exists");
	qmp_fails(&daemon.qmp, "Failed to find node", "blockdev-del",
		  "{'node-name': 'e0'}");
	expect(ctl(&daemon, "add new --image=none --socket=n.sock 2>&1"), 1);
	has("none does not exist");
	expect(ctl(&daemon, "add new --image=b.img 2>&1"), 2);
	has("add needs --socket behind the word add");
	expect(ctl(&daemon, "add new --socket=x 2>&1"), 2);
	has("add needs --image");
	daemon_stop(&daemon);
}

static void a_node_that_others_use_outlives_its_disk(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	expect(ctl(&daemon, "add new --image=b.img --socket=new.sock"), 0);
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'raw', 'node-name': 'more', 'file': 'new'}");
	expect(ctl(&daemon, "remove new 2>&1"), 0);
	has("its image stays open");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'more'}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'new'}");
	daemon_stop(&daemon);
}

static void queues_move_while_a_guest_works(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
	ctl_tells(&daemon, "move e0 t1 --queue=1", "{}");
	load_goes_on(&load);
	expect(ctl(&daemon, "--json show e0"), 0);
	ctl_has("'iothreads': ['t0', 't1']");
	ctl_tells(&daemon, "move e0 t1", "{}");
	load_goes_on(&load);
	expect(ctl(&daemon, "move e0 t9 2>&1"), 1);
	has("iothread \"t9\" not found");
	expect(ctl(&daemon, "move e0 t0 --queue=4 2>&1"), 1);
	load_end(&load);
	daemon_stop(&daemon);
}

static void a_disk_is_resized_while_a_guest_uses_it(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	ctl_tells(&daemon, "resize e0 16M",
		  "{'node-name': 'disk0', 'size': 16777216, 'old-size': "
		  "8388608}");
	ctl_tells(&daemon, "resize disk0 +1M",
		  "{'node-name': 'disk0', 'size': 17825792, 'old-size': "
		  "16777216}");
	expect(ctl(&daemon, "resize e0 1M 2>&1"), 2);
	has("e0 has 17825792 bytes: making it smaller destroys");
	ctl_tells(&daemon, "resize e0 8M --shrink",
		  "{'node-name': 'disk0', 'size': 8388608, 'old-size': "
		  "17825792}");
	expect(ctl(&daemon, "resize e0 1X 2>&1"), 2);
	has("1X is no size");
	expect(ctl(&daemon, "resize e0 +99999999T 2>&1"), 2);
	expect(ctl(&daemon, "resize none 1M 2>&1"), 1);
	has("there is neither a disk nor a node none");
	assert_int_equal(client_check_io(&client, 0, 5), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

static void any_command_can_be_sent_as_it_is(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	expect(ctl(&daemon, "raw '{\"execute\": \"query-version\", \"id\": "
			    "[1]}'"),
	       0);
	ctl_has("'id': [1]");
	expect(ctl(&daemon, "raw '{\"execute\": \"nonsense\"}'"), 1);
	ctl_has("'error': {'class': 'CommandNotFound', 'desc': 'The command "
		"nonsense has not been found'}");
	expect(ctl(&daemon, "raw '[]' 2>&1"), 2);
	has("raw takes a JSON object");
	expect(ctl(&daemon, "raw '{' 2>&1"), 2);
	has("raw takes a JSON object");
	daemon_stop(&daemon);
}

static void a_name_that_moves_the_cursor_does_not(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'a\\u001b[2Jb\\n', "
	       "'node-name': 'disk1', 'addr': {'type': 'unix', 'path': "
	       "'x.sock'}}");
	expect(ctl(&daemon,
		   "list; %s ctl --socket=%s show \"$(printf "
		   "'a\\033[2Jb\\nz')\" 2>&1",
		   program(), daemon.server.socket),
	       1);
	has("\na\\x1b[2Jb\\x0a  null-co ");
	has("there is no disk a\\x1b[2Jb\\x0az:");
	assert_null(strchr(output, '\033'));
	daemon_stop(&daemon);
}

static void without_a_daemon_it_says_what_to_do(void **state)
{
	(void)state;
	expect(run("%s ctl --socket=/tmp/none/s list 2>&1", program()), 1);
	has("cannot connect to /tmp/none/s: No such file or directory: is the "
	    "daemon running?");
	expect(run("RINGHOST_SOCKET=/tmp/none/t %s ctl list 2>&1", program()),
	       1);
	has("/tmp/none/t");
	expect(run("%s ctl lst 2>&1", program()), 2);
	has("ctl has no command lst");
	expect(run("%s ctl --help", program()), 0);
	has("\n  move ID ");
	expect(run("%s ctl --help >/dev/full 2>&1", program()), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_of_a_disk_and_of_its_group_are_listed),
		cmocka_unit_test(disks_are_listed_with_all_that_is_known),
		cmocka_unit_test(a_disk_is_added_and_removed_in_one_step_each),
		cmocka_unit_test(an_add_whose_second_half_fails_is_undone),
		cmocka_unit_test(a_node_that_others_use_outlives_its_disk),
		cmocka_unit_test(queues_move_while_a_guest_works),
		cmocka_unit_test(a_disk_is_resized_while_a_guest_uses_it),
		cmocka_unit_test(any_command_can_be_sent_as_it_is),
		cmocka_unit_test(a_name_that_moves_the_cursor_does_not),
		cmocka_unit_test(without_a_daemon_it_says_what_to_do),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
