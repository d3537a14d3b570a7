/* SPDX-License-Identifier: MIT */
/* options - what the command line says, and what it may not say */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ringhost/log.h>

#include "server/options.h"

#define MAX_WORDS  16
#define LINE_BYTES 512

/* The last line that was logged. */
static char logged[LINE_BYTES];
static unsigned int nr_logged;

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)tag;
	assert_int_equal(level, RH_LOG_ERROR);
	snprintf(logged, sizeof(logged), "%s", line);
	nr_logged++;
}

/* words: the command line behind "ringhost", cut at blanks. */
static int parse(const char *words, struct options *ret)
{
	static char copy[LINE_BYTES];
	static char *argv[MAX_WORDS + 1];
	char *next = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "ringhost %s", words);
	memset(argv, 0, sizeof(argv));
	while (argc < MAX_WORDS && (argv[argc] = strsep(&next, " ")) &&
	       *argv[argc])
		argc++;
	argv[argc] = NULL;
	nr_logged = 0;
	rh_log_set(remember, NULL, RH_LOG_ERROR);
	return options_parse(argc, argv, ret);
}

static struct options accepted(const char *words)
{
	struct options options;

	if (parse(words, &options) != 0)
		fail_msg("'%s' is refused: %s", words, logged);
	assert_int_equal(nr_logged, 0);
	return options;
}

static struct export_options accepted_export(const char *words)
{
	return accepted(words).server.export;
}

/* One sentence, with these parts. */
static void assert_refused(const char *words, const char *part,
			   const char *other)
{
	struct options options;

	if (parse(words, &options) == 0)
		fail_msg("'%s' is accepted", words);
	assert_int_equal(nr_logged, 1);
	if (!strstr(logged, part) || !strstr(logged, other))
		fail_msg("'%s' is refused with: %s", words, logged);
}

/* An option's value: the sentence names option, value, and what it takes. */
static void assert_value_refused(const char *option, const char *value,
				 const char *takes)
{
	char words[LINE_BYTES];
	char given[LINE_BYTES];

	snprintf(given, sizeof(given), "--%s=%s is refused", option, value);
	snprintf(words, sizeof(words), "disk.img --%s=%s", option, value);
	assert_refused(words, given, takes);
}

static void an_image_is_all_that_is_needed(void **state)
{
	struct options options = accepted("disk.img");
	const struct export_options *export = &options.server.export;
	const struct driver_options *driver = &options.server.driver_options;

	(void)state;
	assert_int_equal(options.command, OPTIONS_SERVE);
	assert_string_equal(options.image, "disk.img");
	assert_string_equal(driver->image, "disk.img");
	assert_string_equal(options.server.driver->name, "file");
	assert_int_equal(driver->cache, DRIVER_CACHE_NONE);
	assert_false(driver->cache_given);
	assert_false(driver->read_only);
	assert_false(driver->raw_given);
	assert_false(driver->force_share);
	assert_int_equal(export->queue_size, 1024);
	assert_int_equal(export->block_bytes, 0);
	assert_null(export->serial);
	assert_int_equal(options.server.nr_workers, 1);
	assert_int_equal(options.server.engine, ENGINE_URING);
	assert_false(options.server.engine_given);
	assert_false(options.server.exit_on_disconnect);
	assert_null(options.socket_path);
	assert_int_equal(options.fd, -1);
	assert_int_equal(options.socket_mode, 0660);
	assert_int_equal(options.socket_gid, (gid_t)-1);
	assert_int_equal(options.verbosity, 0);
}

static void by_default_there_are_queues_for_every_cpu(void **state)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int nr_queues = accepted_export("disk.img").nr_queues;

	(void)state;
	assert_in_range(nr_queues, 16, 256);
	if (nr_cpus <= 256)
		assert_in_range(nr_queues, (unsigned long)nr_cpus, 256);
}

static void the_word_serve_may_stand_in_front(void **state)
{
	struct options options = accepted("serve --read-only disk.img");

	(void)state;
	assert_int_equal(options.command, OPTIONS_SERVE);
	assert_string_equal(options.image, "disk.img");
	assert_true(options.server.driver_options.read_only);
	assert_string_equal(accepted("serve serve").image, "serve");
}

static void options_may_stand_behind_the_image(void **state)
{
	(void)state;
	assert_int_equal(accepted_export("disk.img --num-queues 3").nr_queues,
			 3);
	assert_string_equal(accepted("--cache=none -- -v.img").image, "-v.img");
}

/* The vhost-user back-end program conventions */
static void conventions_need_no_command_and_no_argument(void **state)
{
	struct options options = accepted(
		"--socket-path=/run/a.sock --blk-file=disk.img --read-only");

	(void)state;
	assert_int_equal(options.command, OPTIONS_SERVE);
	assert_string_equal(options.socket_path, "/run/a.sock");
	assert_string_equal(options.image, "disk.img");
	assert_true(options.server.driver_options.read_only);
	assert_int_equal(accepted("--fd=5 --blk-file=disk.img").fd, 5);
}

/* The vhost-user back-end program conventions */
static void capabilities_have_everything_else_ignored(void **state)
{
	(void)state;
	assert_int_equal(accepted("--print-capabilities").command,
			 OPTIONS_CAPABILITIES);
	assert_int_equal(accepted("--fd=5 --socket-path=x --bogus "
				  "--print-capabilities a b c")
				 .command,
			 OPTIONS_CAPABILITIES);
}

/* The vhost-user back-end program conventions */
static void socket_path_and_fd_exclude_each_other(void **state)
{
	(void)state;
	assert_refused("--socket-path=/run/a.sock --fd=5 disk.img",
		       "--socket-path and --fd exclude each other",
		       "give one socket");
}

static void help_and_version_have_everything_else_ignored(void **state)
{
	(void)state;
	assert_int_equal(accepted("--help").command, OPTIONS_HELP);
	assert_int_equal(accepted("-h").command, OPTIONS_HELP);
	assert_int_equal(accepted("help run").command, OPTIONS_HELP);
	assert_int_equal(accepted("run --help").command, OPTIONS_HELP);
	assert_int_equal(accepted("--bogus disk.img --help").command,
			 OPTIONS_HELP);
	assert_int_equal(accepted("--version").command, OPTIONS_VERSION);
	assert_int_equal(accepted("serve -V").command, OPTIONS_VERSION);
}

static void the_socket_is_named_after_the_image(void **state)
{
	static const char *const cases[][2] = {
		{ "disk.img", "disk.img.sock" },
		{ "/srv/vm/disk.img", "disk.img.sock" },
		{ "/dev/vg0/lv0", "lv0.sock" },
		{ "--driver=null", "null.sock" },
		{ "--socket-path=/run/a.sock disk.img", "/run/a.sock" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options = accepted(cases[i][0]);
		char *path;

		assert_int_equal(options_socket_path(&options, &path), 0);
		assert_string_equal(path, cases[i][1]);
		free(path);
	}
}

static void socket_mode_is_octal(void **state)
{
	(void)state;
	assert_int_equal(accepted("d --socket-mode=0600").socket_mode, 0600);
	assert_int_equal(accepted("d --socket-mode=666").socket_mode, 0666);
	assert_value_refused("socket-mode", "0880", "octal");
	assert_value_refused("socket-mode", "1777", "octal");
	assert_value_refused("socket-mode", "rw", "octal");
	assert_value_refused("socket-mode", "-1", "octal");
	assert_refused("d --fd=5 --socket-mode=0600", "--socket-mode and --fd",
		       "exclude");
}

static void socket_group_is_a_name_or_a_number(void **state)
{
	(void)state;
	assert_int_equal(accepted("d --socket-group=root").socket_gid, 0);
	assert_int_equal(accepted("d --socket-group=1234").socket_gid, 1234);
	assert_value_refused("socket-group", "no-such-group-here", "a group");
	assert_value_refused("socket-group", "4294967295", "a group");
	assert_refused("d --fd=5 --socket-group=0", "--socket-group and --fd",
		       "exclude");
}

static void fd_is_above_the_standard_streams(void **state)
{
	(void)state;
	assert_int_equal(accepted("d --fd=3").fd, 3);
	assert_value_refused("fd", "2", "a number from 3 to");
	assert_value_refused("fd", "-1", "a number from 3 to");
	assert_value_refused("fd", "x", "a number from 3 to");
	assert_value_refused("fd", "4294967299", "a number from 3 to");
}

static void socket_path_is_not_empty(void **state)
{
	(void)state;
	assert_value_refused("socket-path", "", "not empty");
}

static void cache_modes_are_told_apart(void **state)
{
	struct driver_options options =
		accepted("d --cache=none").server.driver_options;

	(void)state;
	assert_int_equal(options.cache, DRIVER_CACHE_NONE);
	assert_true(options.cache_given);
	options = accepted("d --cache=writeback").server.driver_options;
	assert_int_equal(options.cache, DRIVER_CACHE_WRITEBACK);
	options = accepted("d --cache=writethrough").server.driver_options;
	assert_int_equal(options.cache, DRIVER_CACHE_WRITETHROUGH);
	assert_true(options.cache_given);
	assert_value_refused("cache", "unsafe",
			     "none, writeback or writethrough");
}

static void aio_engines_are_told_apart(void **state)
{
	struct options options = accepted("d --aio=threads");

	(void)state;
	assert_int_equal(options.server.engine, ENGINE_THREADS);
	assert_true(options.server.engine_given);
	options = accepted("d --aio=io_uring");
	assert_int_equal(options.server.engine, ENGINE_URING);
	assert_true(options.server.engine_given);
	assert_value_refused("aio", "native", "io_uring or threads");
}

/* Behaviour 21 */
static void there_are_1_to_256_queues(void **state)
{
	(void)state;
	assert_int_equal(accepted_export("d --num-queues=1").nr_queues, 1);
	assert_int_equal(accepted_export("d --num-queues=256").nr_queues, 256);
	assert_value_refused("num-queues", "0", "a number from 1 to 256");
	assert_value_refused("num-queues", "257", "a number from 1 to 256");
	assert_value_refused("num-queues", "-1", "a number from 1 to 256");
	assert_value_refused("num-queues", "4x", "a number from 1 to 256");
	assert_value_refused("num-queues", "", "a number from 1 to 256");
	assert_value_refused("num-queues", "99999999999999999999",
			     "a number from 1 to 256");
}

static void queue_size_is_a_power_of_two_from_4_to_1024(void **state)
{
	static const char *const wrong[] = { "0",    "1",    "2",     "3",
					     "5",    "1000", "2048",  "-4",
					     "four", "",     "32768", "1k" };

	(void)state;
	assert_int_equal(accepted_export("d --queue-size=4").queue_size, 4);
	assert_int_equal(accepted_export("d --queue-size=1024").queue_size,
			 1024);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_value_refused("queue-size", wrong[i],
				     "a power of two from 4 to 1024");
}

static void polling_is_off_or_up_to_a_millisecond(void **state)
{
	(void)state;
	assert_int_equal(accepted("d").server.poll_usec, 0);
	assert_int_equal(accepted("d --poll-us=0").server.poll_usec, 0);
	assert_int_equal(accepted("d --poll-us=1000").server.poll_usec, 1000);
	assert_value_refused("poll-us", "1001", "a number from 0 to 1000");
	assert_value_refused("poll-us", "-1", "a number from 0 to 1000");
}

static void there_are_1_to_64_threads(void **state)
{
	(void)state;
	assert_int_equal(accepted("d --threads=2").server.nr_workers, 2);
	assert_value_refused("threads", "0", "a number from 1 to 64");
	assert_value_refused("threads", "65", "a number from 1 to 64");
}

/* Behaviour 20 */
static void block_size_is_a_power_of_two_from_512_to_2M(void **state)
{
	static const char *const wrong[] = {
		"0",	   "1",	   "256", "513",	"1000", "4M",
		"2097153", "-512", "",	  "4294967808", "512b", "0x200",
	};

	(void)state;
	assert_int_equal(accepted_export("d --block-size=512").block_bytes,
			 512);
	assert_int_equal(accepted_export("d --block-size=4k").block_bytes,
			 4096);
	assert_int_equal(accepted_export("d --block-size=2M").block_bytes,
			 2 << 20);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_value_refused("block-size", wrong[i],
				     "a power of two from 512 to 2M");
}

static void a_serial_has_1_to_20_bytes(void **state)
{
	(void)state;
	assert_string_equal(
		accepted_export("d --serial=12345678901234567890").serial,
		"12345678901234567890");
	assert_value_refused("serial", "123456789012345678901", "1 to 20");
	assert_value_refused("serial", "", "1 to 20");
}

static void only_raw_can_be_given_as_format(void **state)
{
	(void)state;
	assert_true(accepted("d --format=raw").server.driver_options.raw_given);
	assert_value_refused("format", "qcow2", "it takes raw");
}

static void flags_are_taken(void **state)
{
	struct options options = accepted(
		"d --force-share --exit-on-disconnect --verbose -v --read-only");

	(void)state;
	assert_true(options.server.driver_options.force_share);
	assert_true(options.server.driver_options.read_only);
	assert_true(options.server.exit_on_disconnect);
	assert_int_equal(options.verbosity, 2);
	assert_int_equal(accepted("d -q").verbosity, -1);
	assert_refused("d -q -v", "--quiet and --verbose", "exclude");
}

static void the_log_has_two_formats(void **state)
{
	(void)state;
	assert_string_equal(accepted("d").log_format, "text");
	assert_string_equal(accepted("d --log-format=json").log_format, "json");
	assert_refused("d --log-format=xml", "--log-format=xml",
		       "text or json");
}

static void a_null_disk_has_a_size_and_no_image(void **state)
{
	struct options options = accepted("--driver=null --size=10G");

	(void)state;
	assert_string_equal(options.server.driver->name, "null");
	assert_null(options.image);
	assert_null(options.server.driver_options.image);
	assert_int_equal(options.server.driver_options.size_bytes,
			 UINT64_C(10) << 30);
	assert_refused("--driver=null disk.img", "--driver=null takes no image",
		       "leave disk.img out");
	assert_refused("--driver=null --size=1000", "--size=1000 is refused",
		       "a multiple of 512");
	assert_refused("--driver=null --size=0", "--size=0", "a size such as");
	assert_refused("--driver=null --size=9E", "--size=9E",
		       "a size such as");
	assert_refused("--driver=null --size=8388608T", "--size=8388608T",
		       "a size such as");
	assert_refused("--driver=none", "--driver=none is refused",
		       "file, null or fault");
}

static void a_file_has_the_size_that_it_has(void **state)
{
	(void)state;
	assert_refused("disk.img --size=1G", "--size is for --driver=null",
		       "truncate -s SIZE disk.img");
}

static void an_image_is_needed_and_only_one(void **state)
{
	(void)state;
	assert_refused("", "no image is given", "ringhost --help");
	assert_refused("serve", "no image is given", "ringhost --help");
	assert_refused("a.img b.img", "two images", "a.img and b.img");
	assert_refused("a.img --blk-file=b.img", "two images", "b.img");
	assert_refused("--blk-file=", "--blk-file=", "not empty");
}

static void unknown_options_point_to_help(void **state)
{
	(void)state;
	assert_refused("disk.img --frobnicate", "--frobnicate is not an option",
		       "ringhost --help");
	assert_refused("disk.img --frobnicate=1", "--frobnicate=1 is not",
		       "ringhost --help");
	assert_refused("disk.img -x", "-x is not an option", "ringhost --help");
}

static void values_are_there_when_needed_and_only_then(void **state)
{
	(void)state;
	assert_refused("disk.img --cache", "--cache needs a value",
		       "ringhost --help");
	assert_refused("disk.img --read-only=yes", "--read-only takes no value",
		       "--read-only=yes");
}

static void run_keeps_the_command_as_it_is(void **state)
{
	struct options options =
		accepted("run --threads=2 disk.img -- "
			 "qemu-system-x86_64 -m 1G --help -- x");

	(void)state;
	assert_int_equal(options.command, OPTIONS_RUN);
	assert_string_equal(options.image, "disk.img");
	assert_int_equal(options.server.nr_workers, 2);
	assert_string_equal(options.run_argv[0], "qemu-system-x86_64");
	assert_string_equal(options.run_argv[1], "-m");
	assert_string_equal(options.run_argv[3], "--help");
	assert_string_equal(options.run_argv[5], "x");
	assert_null(options.run_argv[6]);
}

static void run_needs_a_command(void **state)
{
	(void)state;
	assert_refused("run disk.img", "behind --", "-- qemu-system-x86_64");
	assert_refused("run disk.img --", "behind --", "-- qemu-system-x86_64");
	assert_refused("run disk.img qemu-system-x86_64 -m 1G", "behind --",
		       "ringhost run IMAGE --");
	assert_refused("run -- qemu-system-x86_64", "no image is given",
		       "ringhost --help");
}

static void run_makes_its_own_socket(void **state)
{
	static const char *const not_for_run[][2] = {
		{ "--socket-path=x", "--socket-path is for ringhost serve" },
		{ "--fd=4", "--fd is for ringhost serve" },
		{ "--socket-mode=0600", "--socket-mode is for ringhost serve" },
		{ "--socket-group=0", "--socket-group is for ringhost serve" },
		{ "--exit-on-disconnect", "--exit-on-disconnect is for" },
	};
	char words[LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(not_for_run) / sizeof(not_for_run[0]);
	     i++) {
		snprintf(words, sizeof(words), "run %s d -- qemu-system-x86_64",
			 not_for_run[i][0]);
		assert_refused(words, not_for_run[i][1], "a socket of its own");
	}
}

/* Behaviour 20: a refused value is not stored */
static void a_refused_command_line_leaves_the_result_alone(void **state)
{
	struct options options = { .verbosity = 1234 };

	(void)state;
	assert_int_equal(parse("disk.img --block-size=0", &options), -EINVAL);
	assert_int_equal(options.verbosity, 1234);
}

static void a_disk_is_kept_to_limits(void **state)
{
	struct export_options export = accepted_export(
		"disk.img --iops=500 --bps=10M --limit=bps-total-max=20M "
		"--limit=iops-size=4k");

	(void)state;
	assert_int_equal(export.limits.rates[THROTTLE_IOPS_TOTAL].avg, 500);
	assert_int_equal(export.limits.rates[THROTTLE_BPS_TOTAL].avg, 10 << 20);
	assert_int_equal(export.limits.rates[THROTTLE_BPS_TOTAL].max, 20 << 20);
	assert_int_equal(export.limits.iops_size, 4096);
	export = accepted_export("disk.img");
	assert_false(throttle_limits_any(&export.limits));
	assert_value_refused("iops", "0", "at least 1");
	assert_value_refused("bps", "1.5", "100M");
	assert_value_refused("limit", "iops", "NAME=NUMBER");
	assert_value_refused("limit", "iops-totals=1", "NAME=NUMBER");
	assert_value_refused("limit", "iops-total=x", "NAME=NUMBER");
	assert_refused("disk.img --limit=iops-read-max=5", "--limit is refused",
		       "needs iops-read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_kept_to_limits),
		cmocka_unit_test(an_image_is_all_that_is_needed),
		cmocka_unit_test(by_default_there_are_queues_for_every_cpu),
		cmocka_unit_test(the_word_serve_may_stand_in_front),
		cmocka_unit_test(options_may_stand_behind_the_image),
		cmocka_unit_test(conventions_need_no_command_and_no_argument),
		cmocka_unit_test(capabilities_have_everything_else_ignored),
		cmocka_unit_test(socket_path_and_fd_exclude_each_other),
		cmocka_unit_test(help_and_version_have_everything_else_ignored),
		cmocka_unit_test(the_socket_is_named_after_the_image),
		cmocka_unit_test(socket_mode_is_octal),
		cmocka_unit_test(socket_group_is_a_name_or_a_number),
		cmocka_unit_test(fd_is_above_the_standard_streams),
		cmocka_unit_test(socket_path_is_not_empty),
		cmocka_unit_test(cache_modes_are_told_apart),
		cmocka_unit_test(aio_engines_are_told_apart),
		cmocka_unit_test(there_are_1_to_256_queues),
		cmocka_unit_test(queue_size_is_a_power_of_two_from_4_to_1024),
		cmocka_unit_test(polling_is_off_or_up_to_a_millisecond),
		cmocka_unit_test(there_are_1_to_64_threads),
		cmocka_unit_test(block_size_is_a_power_of_two_from_512_to_2M),
		cmocka_unit_test(a_serial_has_1_to_20_bytes),
		cmocka_unit_test(only_raw_can_be_given_as_format),
		cmocka_unit_test(flags_are_taken),
		cmocka_unit_test(the_log_has_two_formats),
		cmocka_unit_test(a_null_disk_has_a_size_and_no_image),
		cmocka_unit_test(a_file_has_the_size_that_it_has),
		cmocka_unit_test(an_image_is_needed_and_only_one),
		cmocka_unit_test(unknown_options_point_to_help),
		cmocka_unit_test(values_are_there_when_needed_and_only_then),
		cmocka_unit_test(run_keeps_the_command_as_it_is),
		cmocka_unit_test(run_needs_a_command),
		cmocka_unit_test(run_makes_its_own_socket),
		cmocka_unit_test(
			a_refused_command_line_leaves_the_result_alone),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
