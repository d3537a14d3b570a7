/* SPDX-License-Identifier: MIT */
/* ctl-options - the command line of `ringhost ctl` */
#include "common/base.h"
#include "ctl/options.h"
#include "tests/unit/command-line.h"

static const struct ctl_syntax *find(const char *name)
{
	static const struct ctl_syntax known[] = {
		{ "add", "ID", 1, 1, CTL_ADD },
		{ "list", "", 0, 0 },
		{ "move", "ID IOTHREAD", 2, 4, CTL_QUEUE },
		{ "remove", "ID", 1, 1, CTL_HARD | CTL_KEEP_NODE },
		{ "top", "", 0, 0, CTL_TOP | CTL_QUEUES },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(known[i].name, name))
			return &known[i];
	}
	return NULL;
}

static struct ctl_options accepted(const char *words)
{
	struct command_line *command = command_line(words);
	struct ctl_options options;
	int result =
		ctl_options_parse(command->argc, command->argv, find, &options);

	command_line_accepted(command, words, result);
	return options;
}

static void refused(const char *words, const char *sentence)
{
	struct command_line *command = command_line(words);
	struct ctl_options options;
	int result =
		ctl_options_parse(command->argc, command->argv, find, &options);

	command_line_refused(command, words, result, sentence);
}

static void the_socket_is_an_option_a_variable_or_the_usual_one(void **state)
{
	(void)state;
	unsetenv("RINGHOST_SOCKET");
	assert_string_equal(accepted("ctl list").socket, CTL_DEFAULT_SOCKET);
	setenv("RINGHOST_SOCKET", "", 1);
	assert_string_equal(accepted("ctl list").socket, CTL_DEFAULT_SOCKET);
	setenv("RINGHOST_SOCKET", "/v", 1);
	assert_string_equal(accepted("ctl list").socket, "/v");
	assert_string_equal(accepted("ctl --socket=/o list").socket, "/o");
	assert_string_equal(accepted("ctl list --socket /o").socket, "/o");
	unsetenv("RINGHOST_SOCKET");
}

static void behind_add_the_socket_is_the_disk_s(void **state)
{
	struct ctl_options options = accepted(
		"ctl --socket=/d add e0 --image=i --socket=/e --read-only "
		"--direct --num-queues=4 --iothread=a --iothread b "
		"--serial=s --socket-mode=0600 --socket-group=kvm");

	(void)state;
	assert_string_equal(options.socket, "/d");
	assert_string_equal(options.disk_socket, "/e");
	assert_string_equal(options.image, "i");
	assert_string_equal(options.args[0], "e0");
	assert_int_equal(options.nr_args, 1);
	assert_true(options.read_only && options.direct);
	assert_int_equal(options.nr_queues, 4);
	assert_int_equal(options.nr_iothreads, 2);
	assert_string_equal(options.iothreads[1], "b");
	assert_string_equal(options.serial, "s");
	assert_string_equal(options.socket_mode, "0600");
	assert_string_equal(options.socket_group, "kvm");
}

static void options_stand_before_and_behind_the_command(void **state)
{
	struct ctl_options options = accepted("ctl --json remove --hard e0");

	(void)state;
	assert_true(options.json && options.hard && !options.keep_node);
	options = accepted("ctl remove e0 --json --keep-node");
	assert_true(options.json && !options.hard && options.keep_node);
	assert_string_equal(options.command, "remove");
	options = accepted("ctl move e0 --queue=3 t0 t1");
	assert_int_equal(options.queue, 3);
	assert_int_equal(options.nr_args, 3);
	assert_string_equal(options.args[2], "t1");
	assert_int_equal(accepted("ctl move e0 t0").queue, -1);
	options = accepted("ctl top -b -n 3 -d 0.5 --queues");
	assert_true(options.batch && options.by_queue);
	assert_int_equal(options.count, 3);
	assert_int_equal(options.delay_msec, 500);
	options = accepted("ctl --timeout=0 list");
	assert_int_equal(options.timeout_msec, -1);
	assert_int_equal(accepted("ctl list").timeout_msec, 30000);
	assert_true(accepted("ctl --help").help);
	assert_true(accepted("ctl move -h").help);
}

static void what_is_wrong_is_refused_with_a_sentence(void **state)
{
	(void)state;
	refused("ctl", "needs a command, such as list");
	refused("ctl lits", "has no command lits");
	refused("ctl list e0", "give ringhost ctl list");
	refused("ctl remove", "give ringhost ctl remove ID");
	refused("ctl remove a b", "give ringhost ctl remove ID");
	refused("ctl --hard remove e0", "put it behind");
	refused("ctl list --hard", "is no option of ringhost ctl list");
	refused("ctl remove e0 -b", "is no option of ringhost ctl remove");
	refused("ctl list --bogus", "has no option --bogus");
	refused("ctl list --socket", "needs a value");
	refused("ctl list --socket=", "the path of a socket");
	refused("ctl --timeout=-1 list", "0 to 86400");
	refused("ctl --timeout=1x list", "0 to 86400");
	refused("ctl add e --num-queues=0", "1 to 256");
	refused("ctl add e --num-queues=257", "1 to 256");
	refused("ctl move e t --queue=256", "the number of a queue");
	refused("ctl top -d 0", "0.1 to 3600");
	refused("ctl top -d nan", "0.1 to 3600");
	refused("ctl top -d 1e9", "0.1 to 3600");
	refused("ctl top -n 0", "1 or more");
	refused("ctl remove e\xff", "word 2 of the command line is not UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_socket_is_an_option_a_variable_or_the_usual_one),
		cmocka_unit_test(behind_add_the_socket_is_the_disk_s),
		cmocka_unit_test(options_stand_before_and_behind_the_command),
		cmocka_unit_test(what_is_wrong_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests_name("ctl-options", tests, NULL, NULL);
}
