/* SPDX-License-Identifier: MIT */
/* run-command - a QEMU command line, and what it needs for one more disk */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ringhost/log.h>

#include "server/run_command.h"

#define MAX_WORDS  32
#define LINE_BYTES 1024

#define MEMORY_OF(size)                                                        \
	" -object memory-backend-memfd,id=ringhost-memory,size=" size          \
	",share=on -machine memory-backend=ringhost-memory"
#define CHARDEV " -chardev socket,id=ringhost-disk0,fd=7"
#define DEVICE	" -device vhost-user-blk-pci,chardev=ringhost-disk0"

static const struct run_disk usual = {
	.fd = 7,
	.nr_queues = 16,
	.queue_size = 1024,
};

static char logged[LINE_BYTES];

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	snprintf(logged, sizeof(logged), "%s", line);
}

/* Words are cut at blanks, and put together again with blanks. */
static int rewrite(const char *words, const struct run_disk *disk, char *ret)
{
	char copy[LINE_BYTES];
	char *argv[MAX_WORDS + 1] = { 0 };
	char *next = copy;
	char **command = NULL;
	int argc = 0;
	int error;

	snprintf(copy, sizeof(copy), "%s", words);
	while (argc < MAX_WORDS && (argv[argc] = strsep(&next, " ")))
		argc++;
	argv[argc] = NULL;
	rh_log_set(remember, NULL, RH_LOG_ERROR);
	error = run_command_create(argv, disk, &command);
	*ret = '\0';
	for (char **word = command; word && *word; word++)
		snprintf(ret + strlen(ret), LINE_BYTES - strlen(ret), "%s%s",
			 word == command ? "" : " ", *word);
	run_command_free(command, argv);
	return error;
}

/* The command stays as it is, and added stands behind it. */
static void assert_added(const char *words, const struct run_disk *disk,
			 const char *added)
{
	char command[LINE_BYTES];

	assert_int_equal(rewrite(words, disk, command), 0);
	assert_memory_equal(command, words, strlen(words));
	assert_string_equal(command + strlen(words), added);
}

static void assert_refused(const char *words, const char *part)
{
	char command[LINE_BYTES];

	*logged = '\0';
	assert_int_equal(rewrite(words, &usual, command), -EINVAL);
	if (!strstr(logged, part))
		fail_msg("'%s' is refused with: %s", words, logged);
}

static void memory_connection_and_device_are_added(void **state)
{
	(void)state;
	assert_added("qemu-system-x86_64 -smp 4 -m 2G -nographic", &usual,
		     MEMORY_OF("2G") CHARDEV DEVICE ",num-queues=4");
}

static void without_m_memory_is_what_qemu_takes(void **state)
{
	(void)state;
	assert_added("qemu-system-x86_64", &usual,
		     MEMORY_OF("128M") CHARDEV DEVICE);
}

static void the_memory_size_is_read_as_qemu_reads_it(void **state)
{
	static const char *const cases[][2] = {
		{ "-m 512", MEMORY_OF("512M") CHARDEV DEVICE },
		{ "-m 1.5G", MEMORY_OF("1.5G") CHARDEV DEVICE },
		{ "-m 4g", MEMORY_OF("4g") CHARDEV DEVICE },
		{ "-m size=1G,slots=2,maxmem=4G",
		  MEMORY_OF("1G") CHARDEV DEVICE },
		{ "-m 1G,slots=2,maxmem=4G", MEMORY_OF("1G") CHARDEV DEVICE },
		{ "-m slots=2,maxmem=4G", MEMORY_OF("128M") CHARDEV DEVICE },
		{ "-m 1G -m 3G", MEMORY_OF("3G") CHARDEV DEVICE },
		{ "--m 1G", MEMORY_OF("1G") CHARDEV DEVICE },
	};
	char words[LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(words, sizeof(words), "qemu-system-x86_64 %s",
			 cases[i][0]);
		assert_added(words, &usual, cases[i][1]);
	}
}

static void the_disk_has_a_queue_for_each_cpu(void **state)
{
	static const char *const cases[][2] = {
		{ "2", ",num-queues=2" },
		{ "cpus=3,maxcpus=8", ",num-queues=3" },
		{ "3,sockets=1", ",num-queues=3" },
		{ "sockets=2,cores=2,threads=2", ",num-queues=8" },
		{ "maxcpus=6", ",num-queues=6" },
		{ "64", ",num-queues=16" }, /* no more than the disk has */
		{ "dies=x", "" },
	};
	char words[LINE_BYTES];
	char added[LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(words, sizeof(words), "qemu-system-x86_64 -smp %s",
			 cases[i][0]);
		snprintf(added, sizeof(added), "%s%s",
			 MEMORY_OF("128M") CHARDEV DEVICE, cases[i][1]);
		assert_added(words, &usual, added);
	}
}

static void a_disk_with_small_rings_is_asked_for_them(void **state)
{
	struct run_disk disk = usual;

	(void)state;
	disk.queue_size = 64;
	assert_added("qemu-system-x86_64", &disk,
		     MEMORY_OF("128M") CHARDEV DEVICE ",queue-size=64");
}

static void shared_memory_of_the_machine_is_left_alone(void **state)
{
	static const char *const commands[] = {
		"qemu-system-x86_64 -m 1G -object memory-backend-memfd,id=ram,"
		"size=1G -machine q35,memory-backend=ram",
		"qemu-system-x86_64 -machine memory-backend=ram -object "
		"memory-backend-file,id=ram,mem-path=/dev/shm/x,size=1G,"
		"share=on",
		"qemu-system-x86_64 -M memory-backend=ram -object "
		"qom-type=memory-backend-ram,share=yes,id=ram,size=1G",
		"qemu-system-x86_64 --machine memory-backend=ram --object "
		"{\"qom-type\":\"memory-backend-ram\",\"id\":\"ram\","
		"\"size\":1073741824,\"share\":true}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_added(commands[i], &usual, CHARDEV DEVICE);
}

static void shared_memory_of_numa_nodes_is_left_alone(void **state)
{
	(void)state;
	assert_added("qemu-system-x86_64 -object memory-backend-file,id=a,"
		     "mem-path=/x,size=1G,share=on -object "
		     "memory-backend-memfd,id=b,size=1G -numa node,memdev=a "
		     "-numa node,memdev=b",
		     &usual, CHARDEV DEVICE);
}

static void memory_that_nobody_uses_does_not_count(void **state)
{
	(void)state;
	assert_added("qemu-system-x86_64 -object memory-backend-memfd,id=shm,"
		     "size=1M,share=on",
		     &usual, MEMORY_OF("128M") CHARDEV DEVICE);
}

static void memory_that_is_not_shared_is_refused_with_the_way_out(void **state)
{
	(void)state;
	assert_refused("qemu-system-x86_64 -object memory-backend-ram,id=ram,"
		       "size=1G -machine memory-backend=ram",
		       "add share=on to -object memory-backend-ram,id=ram");
	assert_refused("qemu-system-x86_64 -object memory-backend-memfd,id=ram,"
		       "size=1G,share=off -machine memory-backend=ram",
		       "guest memory is not shared: add share=on");
	assert_refused("qemu-system-x86_64 -object memory-backend-memfd,id=a,"
		       "size=1G -object memory-backend-file,id=b,mem-path=/x,"
		       "size=1G -numa node,memdev=a -numa node,memdev=b",
		       "add share=on to -object memory-backend-file,id=b");
	assert_refused("qemu-system-x86_64 -mem-path /dev/hugepages",
		       "mem-path=/dev/hugepages,size=SIZE,share=on");
}

static void a_command_that_goes_to_the_background_is_refused(void **state)
{
	(void)state;
	assert_refused("qemu-system-x86_64 -daemonize", "leave it out");
}

static void any_qemu_system_is_known_by_its_name(void **state)
{
	(void)state;
	assert_added("/opt/qemu/bin/qemu-system-aarch64", &usual,
		     MEMORY_OF("128M") CHARDEV DEVICE);
	assert_added("/usr/libexec/qemu-kvm", &usual,
		     MEMORY_OF("128M") CHARDEV DEVICE);
	assert_added("kvm", &usual, MEMORY_OF("128M") CHARDEV DEVICE);
}

static void other_programs_are_refused_with_the_way_out(void **state)
{
	(void)state;
	assert_refused("cloud-hypervisor --memory size=1G", "ringhost serve");
	assert_refused("/usr/bin/qemu-img create x", "qemu-system-*");
	assert_refused("sudo qemu-system-x86_64", "not to sudo");
}

static void overlong_values_are_no_danger(void **state)
{
	char words[LINE_BYTES];
	char command[LINE_BYTES];

	(void)state;
	snprintf(words, sizeof(words),
		 "qemu-system-x86_64 -smp %0400d -m "
		 "size=%0300d -object {\"id\":\"%0100d",
		 1, 1, 1);
	assert_int_equal(rewrite(words, &usual, command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_connection_and_device_are_added),
		cmocka_unit_test(without_m_memory_is_what_qemu_takes),
		cmocka_unit_test(the_memory_size_is_read_as_qemu_reads_it),
		cmocka_unit_test(the_disk_has_a_queue_for_each_cpu),
		cmocka_unit_test(a_disk_with_small_rings_is_asked_for_them),
		cmocka_unit_test(shared_memory_of_the_machine_is_left_alone),
		cmocka_unit_test(shared_memory_of_numa_nodes_is_left_alone),
		cmocka_unit_test(memory_that_nobody_uses_does_not_count),
		cmocka_unit_test(
			memory_that_is_not_shared_is_refused_with_the_way_out),
		cmocka_unit_test(
			a_command_that_goes_to_the_background_is_refused),
		cmocka_unit_test(any_qemu_system_is_known_by_its_name),
		cmocka_unit_test(other_programs_are_refused_with_the_way_out),
		cmocka_unit_test(overlong_values_are_no_danger),
	};

	return cmocka_run_group_tests_name("run_command", tests, NULL, NULL);
}
