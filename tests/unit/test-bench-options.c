/* SPDX-License-Identifier: MIT */
/* bench-options - the command line of `ringhost bench` */
#include "bench/options.h"
#include "common/base.h"
#include "tests/unit/command-line.h"

static struct bench_options accepted(const char *words)
{
	struct command_line *command = command_line(words);
	struct bench_options options;
	int result =
		bench_options_parse(command->argc, command->argv, &options);

	command_line_accepted(command, words, result);
	return options;
}

static void refused(const char *words, const char *sentence)
{
	struct command_line *command = command_line(words);
	struct bench_options options;
	int result =
		bench_options_parse(command->argc, command->argv, &options);

	command_line_refused(command, words, result, sentence);
}

static void a_socket_is_enough_and_nothing_is_written(void **state)
{
	struct bench_options options = accepted("bench /tmp/s");

	(void)state;
	assert_string_equal(options.socket, "/tmp/s");
	assert_string_equal(options.rw, "randread");
	assert_true(options.reads && options.random && !options.writes);
	assert_int_equal(options.read_percent, 100);
	assert_int_equal(options.block_bytes, 4096);
	assert_int_equal(options.iodepth, 32);
	assert_int_equal(options.nr_queues, 1);
	assert_int_equal(options.nr_threads, 1);
	assert_int_equal(options.runtime_msec, 5000);
	assert_int_equal(options.ramp_msec, 0);
	assert_true(options.indirect && options.event_idx);
	assert_false(options.packed || options.poll || options.verify);
	assert_int_equal(options.pid, 0);
}

static void a_job_is_given_in_the_words_of_fio(void **state)
{
	struct bench_options options = accepted(
		"bench --rw=randrw --rwmixread=70 --bs=64k --offset=1M "
		"--size=1G --iodepth=8 --numjobs=4 --runtime=2m "
		"--ramp_time=500ms --rate_iops=1000 --randseed=9 s");

	(void)state;
	assert_true(options.reads && options.writes && options.random);
	assert_int_equal(options.read_percent, 70);
	assert_int_equal(options.block_bytes, 64 << 10);
	assert_int_equal(options.offset_bytes, 1 << 20);
	assert_int_equal(options.size_bytes, 1 << 30);
	assert_int_equal(options.iodepth, 8);
	assert_int_equal(options.nr_queues, 4);
	assert_int_equal(options.runtime_msec, 120000);
	assert_int_equal(options.ramp_msec, 500);
	assert_int_equal(options.rate_iops, 1000);
	assert_int_equal(options.seed, 9);
}

static void a_driver_is_described(void **state)
{
	struct bench_options options = accepted(
		"bench --packed --no-indirect --no_event_idx --notify=poll "
		"--threads=2 --queue_size=100 --timeout=3 s");

	(void)state;
	assert_true(options.packed && options.poll);
	assert_false(options.indirect || options.event_idx);
	assert_int_equal(options.nr_threads, 2);
	assert_int_equal(options.queue_size, 100);
	assert_int_equal(options.timeout_msec, 3000);
}

static void a_report_is_chosen(void **state)
{
	struct bench_options options = accepted(
		"bench --pid=12 --output=a_b --output_format=json --quiet s");

	(void)state;
	assert_int_equal(options.pid, 12);
	assert_string_equal(options.output, "a_b");
	assert_int_equal(options.format, BENCH_FORMAT_JSON);
	assert_true(options.quiet);
	assert_int_equal(accepted("bench --output-format=normal s").format,
			 BENCH_FORMAT_NORMAL);
}

static void names_take_either_dash_but_values_stay(void **state)
{
	(void)state;
	assert_string_equal(accepted("bench --output=--x_y s").output, "--x_y");
	assert_string_equal(accepted("bench -- --a_socket").socket,
			    "--a_socket");
}

static void each_kind_of_job_is_known(void **state)
{
	static const struct {
		const char *words;
		bool reads, writes, random;
		uint32_t read_percent;
	} kinds[] = {
		{ "bench --rw=read s", true, false, false, 100 },
		{ "bench --rw=write s", false, true, false, 0 },
		{ "bench --rw=rw s", true, true, false, 50 },
		{ "bench --rw=randwrite s", false, true, true, 0 },
		{ "bench --rw=randrw s", true, true, true, 50 },
		{ "bench --rwmixread=3 --rw=read s", true, false, false, 100 },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct bench_options options = accepted(kinds[i].words);

		assert_int_equal(options.reads, kinds[i].reads);
		assert_int_equal(options.writes, kinds[i].writes);
		assert_int_equal(options.random, kinds[i].random);
		assert_int_equal(options.read_percent, kinds[i].read_percent);
	}
}

static void help_needs_no_socket(void **state)
{
	(void)state;
	assert_true(accepted("bench --help").help);
	assert_true(accepted("bench -h").help);
	assert_non_null(strstr(bench_options_help, "overwrite the"));
}

static void what_cannot_be_is_refused_with_a_sentence(void **state)
{
	(void)state;
	refused("bench", "needs the path of the back-end's socket");
	refused("bench a b", "what is 'b'?");
	refused("bench --frob s", "bench has no option --frob");
	refused("bench s --iodepth", "--iodepth needs a value");
	refused("bench --rw=trim s", "read, write, rw");
	refused("bench --iodepth=0 s", "a number from 1 to 1024");
	refused("bench --flood=0 --numjobs=2 s", "a number from 1 to 1024");
	refused("bench --flood=8 s", "give --numjobs=2 or more");
	refused("bench --iodepth=-1 s", "a number from 1 to 1024");
	refused("bench --iodepth=4x s", "a number from 1 to 1024");
	refused("bench --numjobs=257 s", "a number from 1 to 256");
	refused("bench --rwmixread=101 s", "a number from 0 to 100");
	refused("bench --bs=100 s", "a multiple of 512 bytes");
	refused("bench --bs=0 s", "512 bytes to 16M");
	refused("bench --bs=32M s", "512 bytes to 16M");
	refused("bench --size=1x s", "a multiple of 512 bytes");
	refused("bench --runtime=0 s", "--runtime=0 is refused");
	refused("bench --runtime=5h s", "a time such as");
	refused("bench --runtime=99999999999 s", "a week at most");
	refused("bench --rate_iops=0 s", "a number from 1 to");
	refused("bench --notify=never s", "wait or poll");
	refused("bench --output-format=xml s", "normal or json");
	refused("bench --output= s", "the path of a file");
	refused("bench --pid=none s", "a number from 1 to");
}

static void what_does_not_fit_together_is_refused(void **state)
{
	(void)state;
	refused("bench --offset=512 s", "a multiple of --bs");
	refused("bench --size=512 s", "--size must be at least --bs");
	refused("bench --verify=pattern s", "--rw=randread writes nothing");
	refused("bench --verify=crc --rw=write s", "takes pattern");
	refused("bench --queue-size=100 s", "a power of two");
	accepted("bench --verify=pattern --rw=write s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_enough_and_nothing_is_written),
		cmocka_unit_test(a_job_is_given_in_the_words_of_fio),
		cmocka_unit_test(a_driver_is_described),
		cmocka_unit_test(a_report_is_chosen),
		cmocka_unit_test(names_take_either_dash_but_values_stay),
		cmocka_unit_test(each_kind_of_job_is_known),
		cmocka_unit_test(help_needs_no_socket),
		cmocka_unit_test(what_cannot_be_is_refused_with_a_sentence),
		cmocka_unit_test(what_does_not_fit_together_is_refused),
	};

	return cmocka_run_group_tests_name("bench-options", tests, NULL, NULL);
}
