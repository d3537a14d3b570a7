/* SPDX-License-Identifier: MIT */
/* options-fault - the options of a disk that is to fail */
#include "tests/unit/command-line.h"

#include "server/options.h"

static struct driver_options accepted(const char *words)
{
	struct command_line *command = command_line(words);
	struct options options;

	command_line_accepted(command, words,
			      options_parse(command->argc, command->argv,
					    &options));
	return options.server.driver_options;
}

static void assert_refused(const char *words, const char *part)
{
	struct command_line *command = command_line(words);
	struct options options;

	command_line_refused(
		command, words,
		options_parse(command->argc, command->argv, &options), part);
}

static void a_disk_that_fails_wraps_another(void **state)
{
	struct driver_options options =
		accepted("ringhost --driver=fault --fault=write,error=EIO "
			 "--fault=read,flip --fault-cache=1M --fault-seed=7 "
			 "disk.img");

	(void)state;
	assert_string_equal(options.wrapped->name, "file");
	assert_string_equal(options.image, "disk.img");
	assert_int_equal(options.nr_faults, 2);
	assert_string_equal(options.faults[1], "read,flip");
	assert_int_equal(options.fault_cache_bytes, 1 << 20);
	assert_int_equal(options.fault_seed, 7);
	options = accepted("ringhost run --driver=fault --fault-driver=null "
			   "--size=1M -- qemu-system-x86_64");
	assert_string_equal(options.wrapped->name, "null");
	assert_int_equal(options.size_bytes, 1 << 20);
	assert_int_equal(options.fault_seed, 1);
	assert_int_equal(options.fault_cache_bytes, 0);
}

static void it_needs_what_the_other_one_needs(void **state)
{
	(void)state;
	assert_refused("ringhost --driver=fault", "no image is given");
	assert_refused("ringhost --driver=fault --fault-driver=null d",
		       "--driver=null takes no image: leave d out");
	assert_refused("ringhost --driver=fault --size=1M d",
		       "--size is for --driver=null");
}

static void a_wrong_value_gets_a_sentence(void **state)
{
	(void)state;
	assert_refused("ringhost --driver=fault d --fault=write",
		       "--fault=write is refused: it says when, but not what");
	assert_refused("ringhost --driver=fault d --fault-driver=fault",
		       "--fault-driver=fault is refused: it takes file or "
		       "null");
	assert_refused("ringhost --driver=fault d --fault-cache=1k",
		       "--fault-cache=1k is refused: it takes a size from 64k");
	assert_refused("ringhost --driver=fault d --fault-cache=5G",
		       "--fault-cache=5G is refused");
	assert_refused("ringhost --driver=fault d --fault-cache=65537",
		       "a multiple of 512");
	assert_refused("ringhost --driver=fault d --fault-seed=x",
		       "--fault-seed=x is refused: it takes a number");
}

static void faults_need_the_driver_that_makes_them(void **state)
{
	(void)state;
	assert_refused("ringhost d --fault=write,error=EIO",
		       "--fault is for --driver=fault: add that");
	assert_refused("ringhost d --fault-cache=1M",
		       "--fault-cache is for --driver=fault");
	assert_refused("ringhost d --fault-seed=1",
		       "--fault-seed is for --driver=fault");
	assert_refused("ringhost d --fault-driver=null",
		       "--fault-driver is for --driver=fault");
}

static void there_are_at_most_32_faults(void **state)
{
	struct command_line *command = command_line("");
	char *argv[DRIVER_MAX_FAULTS + 4];
	struct options options;
	int argc = 0;

	(void)state;
	argv[argc++] = (char *)"ringhost";
	argv[argc++] = (char *)"--driver=fault";
	for (int i = 0; i < DRIVER_MAX_FAULTS; i++)
		argv[argc++] = (char *)"--fault=read,flip";
	argv[argc++] = (char *)"disk.img";
	command_line_accepted(command, "32",
			      options_parse(argc, argv, &options));
	argv[argc - 1] = (char *)"--fault=read,flip";
	argv[argc++] = (char *)"disk.img";
	command_line_refused(command, "33", options_parse(argc, argv, &options),
			     "--fault is given more than 32 times");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_fails_wraps_another),
		cmocka_unit_test(it_needs_what_the_other_one_needs),
		cmocka_unit_test(a_wrong_value_gets_a_sentence),
		cmocka_unit_test(faults_need_the_driver_that_makes_them),
		cmocka_unit_test(there_are_at_most_32_faults),
	};

	return cmocka_run_group_tests_name("options-fault", tests, NULL, NULL);
}
