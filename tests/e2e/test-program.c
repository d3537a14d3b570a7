/* SPDX-License-Identifier: MIT */
/*
 * program - ringhost as a command: its output, exit codes, and `run`
 *
 * Against ringhost only. The commands are a shell's, which finds the program
 * in $SERVER and an image in $IMAGE, in a directory of their own.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/server.h"
#include "tests/frontend/clock.h"

#define OUTPUT_BYTES	16384
#define TIMEOUT_SECONDS "60"

/* stdout and stderr of the last command */
static char output[OUTPUT_BYTES];

/* Returns the exit status of a shell command. */
static int run(const char *command)
{
	char line[2048];
	size_t nr_bytes = 0;
	size_t nr;
	FILE *shell;
	int status;

	snprintf(line, sizeof(line), "{ %s\n} 2>&1", command);
	shell = popen(line, "r");
	assert_non_null(shell);
	while ((nr = fread(output + nr_bytes, 1, OUTPUT_BYTES - 1 - nr_bytes,
			   shell)) > 0)
		nr_bytes += nr;
	output[nr_bytes] = '\0';
	status = pclose(shell);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static unsigned int nr_lines(void)
{
	unsigned int nr = 0;

	for (const char *byte = output; *byte; byte++)
		nr += *byte == '\n';
	return nr;
}

static void assert_output(const char *part)
{
	if (!strstr(output, part))
		fail_msg("'%s' is not in: %s", part, output);
}

/* A failure is one sentence, with what is wrong and what to do. */
static void assert_fails(const char *command, int status, const char *what,
			 const char *advice)
{
	int ended = run(command);

	if (ended != status)
		fail_msg("%s ends with %d: %s", command, ended, output);
	assert_int_equal(nr_lines(), 1);
	assert_int_equal(strncmp(output, "ringhost: ", 10), 0);
	assert_output(what);
	assert_output(advice);
}

/* A program that stands for QEMU: a shell script. */
static void make_vm(const char *name, const char *script)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(name, 0700), 0);
}

static int enter_directory(void **state)
{
	static char name[64];

	snprintf(name, sizeof(name), "/tmp/ringhost-XXXXXX");
	if (!mkdtemp(name) || chdir(name) < 0)
		return -1;
	*state = name;
	setenv("IMAGE", "disk.img", 1);
	return run("truncate -s 8M disk.img");
}

static int leave_directory(void **state)
{
	char command[128];

	if (chdir("/") < 0)
		return -1;
	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	return run(command);
}

static void help_fits_on_two_screens(void **state)
{
	(void)state;
	assert_int_equal(run("$SERVER --help"), 0);
	assert_in_range(nr_lines(), 20, 60);
	assert_output("ringhost run");
	assert_output("--num-queues=N");
	assert_int_equal(run("$SERVER --help | grep -E '^.{81}'"), 1);
	assert_int_equal(run("$SERVER help > a; $SERVER -h > b; cmp a b"), 0);
}

/* Every option that is parsed is in the help. */
static void help_names_what_there_is(void **state)
{
	static const char *const options[] = {
		"aio",		"blk-file",
		"block-size",	"cache",
		"driver",	"exit-on-disconnect",
		"fault",	"fault-cache",
		"fault-driver", "fault-seed",
		"fd",		"force-share",
		"format",	"help",
		"num-queues",	"print-capabilities",
		"queue-size",	"quiet",
		"read-only",	"sandbox",
		"serial",	"size",
		"socket-group", "socket-mode",
		"socket-path",	"threads",
		"verbose",	"version",
	};
	char option[64];

	(void)state;
	assert_int_equal(run("$SERVER help"), 0);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(option, sizeof(option), "--%s", options[i]);
		assert_output(option);
	}
}

/* The vhost-user back-end program conventions */
static void capabilities_are_json_on_stdout(void **state)
{
	(void)state;
	assert_int_equal(run("$SERVER --print-capabilities --fd=1000 2>&-"), 0);
	assert_string_equal(output,
			    "{\"type\":\"block\","
			    "\"features\":[\"read-only\",\"blk-file\"]}\n");
}

static void a_wrong_command_line_ends_with_2(void **state)
{
	(void)state;
	assert_fails("$SERVER", 2, "no image is given", "ringhost --help");
	assert_fails("$SERVER --num-queues=0 $IMAGE", 2, "--num-queues=0",
		     "from 1 to 256");
	assert_fails("$SERVER run $IMAGE -- ls", 2, "not to ls",
		     "ringhost serve");
}

static void an_image_that_cannot_be_served_ends_with_1(void **state)
{
	(void)state;
	assert_fails("$SERVER nowhere.img", 1, "nowhere.img", "truncate");
	assert_fails("$SERVER .", 1, "disk0", "is a directory");
	assert_int_equal(run("printf 'QFI\\373\\000\\000\\000\\003' > q.img; "
			     "truncate -s 1M q.img"),
			 0);
	assert_fails("$SERVER q.img", 1, "qcow2", "--format=raw");
	assert_int_equal(access("q.img.sock", F_OK), -1);
}

static void a_socket_that_cannot_be_used_ends_with_1(void **state)
{
	(void)state;
	assert_fails("$SERVER --socket-path=no/where $IMAGE", 1, "no/where",
		     "--socket-path");
	assert_fails("$SERVER --socket-path=disk.img $IMAGE", 1, "not a socket",
		     "--socket-path");
	assert_fails("$SERVER --fd=3 $IMAGE 3</dev/null", 1, "--fd=3",
		     "listens or is connected");
}

/* Started in the background; ended when it has said that it is ready. */
#define UNTIL_READY(options)                                                   \
	"$SERVER " options " $IMAGE > ready & pid=$!\n"                        \
	"n=0; until [ -s ready ] || [ $n -gt 1200 ]; do n=$((n + 1)); "        \
	"sleep 0.05; done\n"                                                   \
	"ls -l *.sock; kill $pid; wait $pid; status=$?; cat ready; "           \
	"exit $status"

static void ready_is_said_on_stdout_with_what_to_paste(void **state)
{
	char cwd[128];
	char path[256];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(run(UNTIL_READY("--num-queues=2")), 0);
	assert_output("ringhost: disk0: serving disk.img (8 MiB, ");
	assert_output(", 2 queues) on /");
	snprintf(path, sizeof(path), "path=%s/disk.img.sock \\\n", cwd);
	assert_output(path);
	snprintf(path, sizeof(path), "path='%s/disk.img.sock'/>", cwd);
	assert_output(path);
	assert_output("num-queues=2\n");
	assert_output("srw-rw----");
	assert_int_equal(access("disk.img.sock", F_OK), -1);
}

static void the_socket_has_the_mode_that_was_asked_for(void **state)
{
	(void)state;
	assert_int_equal(run(UNTIL_READY("--socket-mode=0600 "
					 "--socket-path=a.sock")),
			 0);
	assert_output("srw-------");
	assert_int_equal(access("a.sock", F_OK), -1);
}

static void quiet_means_silent(void **state)
{
	(void)state;
	assert_int_equal(run("$SERVER -q $IMAGE & pid=$!\n"
			     "n=0; until [ -S disk.img.sock ] || "
			     "[ $n -gt 1200 ]; do n=$((n + 1)); "
			     "sleep 0.05; done\n"
			     "sleep 0.5; kill $pid; wait $pid"),
			 0);
	assert_string_equal(output, "");
}

/* As systemd's Type=notify wants it */
static void the_service_manager_is_told(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = "notify" };
	struct pollfd readable = { .events = POLLIN };
	char message[64] = "";
	FILE *shell;
	int fd;

	(void)state;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	/* the shell becomes what is started: its pid is there before that */
	shell = popen("echo $$ > pid; export NOTIFY_SOCKET=$PWD/notify; "
		      "exec timeout " TIMEOUT_SECONDS " $SERVER -q $IMAGE",
		      "r");
	assert_non_null(shell);
	readable.fd = fd;
	assert_int_equal(poll(&readable, 1, FE_PATIENCE_MSEC), 1);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_string_equal(message, "READY=1\nSTATUS=1 export, 0 connected");
	assert_int_equal(access("disk.img.sock", F_OK), 0);
	assert_int_equal(system("kill $(cat pid)"), 0);
	pclose(shell);
	close(fd);
}

static void run_passes_arguments_and_status_on(void **state)
{
	(void)state;
	make_vm("qemu-system-test", "echo \"$@\"; exit 7");
	assert_int_equal(run("$SERVER run --num-queues=4 $IMAGE -- "
			     "./qemu-system-test -smp 8 -m 1G -nographic"),
			 7);
	assert_int_equal(
		strncmp(output, "-smp 8 -m 1G -nographic -object ", 32), 0);
	assert_output("size=1G,share=on");
	assert_output("num-queues=4\n");
	assert_int_equal(nr_lines(), 1);
}

static void run_tells_by_which_signal_its_command_ended(void **state)
{
	(void)state;
	make_vm("qemu-system-test", "kill -9 $$");
	assert_int_equal(run("$SERVER run $IMAGE -- ./qemu-system-test"),
			 128 + 9);
}

static void run_passes_signals_on(void **state)
{
	(void)state;
	make_vm("qemu-system-test",
		"trap 'kill $!; exit 9' TERM\nkill -TERM $PPID\nsleep 60 & wait");
	assert_int_equal(run("$SERVER run $IMAGE -- ./qemu-system-test"), 9);
}

static void run_lets_its_command_see_signals_and_streams(void **state)
{
	(void)state;
	make_vm("qemu-system-test",
		"grep SigBlk /proc/self/status; grep SigIgn "
		"/proc/self/status; cat");
	assert_int_equal(run("echo typed | $SERVER run $IMAGE -- "
			     "./qemu-system-test"),
			 0);
	assert_output("SigBlk:\t0000000000000000\n");
	assert_output("typed\n");
	/* SIGPIPE, bit 12, is not ignored */
	assert_int_equal(run("$SERVER run $IMAGE -- ./qemu-system-test "
			     "</dev/null | grep -q 'SigIgn:.*[1357]...$'"),
			 1);
}

/* It was started before, and may need what a server does not. */
static void run_does_not_confine_its_command(void **state)
{
	(void)state;
	make_vm("qemu-system-test",
		"grep -E 'Seccomp:|NoNewPrivs|CapEff' /proc/self/status");
	assert_int_equal(
		run("grep -E 'Seccomp:|NoNewPrivs|CapEff' "
		    "/proc/self/status >outside; "
		    "$SERVER run $IMAGE -- ./qemu-system-test >inside; "
		    "cmp outside inside"),
		0);
}

static void run_gives_its_command_a_connected_socket(void **state)
{
	(void)state;
	make_vm("qemu-system-test",
		"fd=${*##*fd=}; fd=${fd%% *}; readlink /proc/self/fd/$fd; "
		"ls -l /proc/self/fd | grep -c socket");
	assert_int_equal(run("$SERVER run $IMAGE -- ./qemu-system-test"), 0);
	assert_int_equal(strncmp(output, "socket:[", 8), 0);
	assert_output("\n1\n");
}

static void run_says_why_its_command_does_not_start(void **state)
{
	(void)state;
	assert_fails("$SERVER run $IMAGE -- ./qemu-system-nowhere", 1,
		     "cannot start ./qemu-system-nowhere", "is QEMU installed");
	assert_fails("$SERVER run nowhere.img -- ./qemu-system-test", 1,
		     "nowhere.img", "truncate");
}

static void run_leaves_nothing_behind(void **state)
{
	(void)state;
	make_vm("qemu-system-test", "exit 0");
	assert_int_equal(run("ls > ../$$.before; "
			     "$SERVER run $IMAGE -- ./qemu-system-test; "
			     "ls | cmp - ../$$.before; status=$?; "
			     "rm ../$$.before; exit $status"),
			 0);
}

#define IN_DIRECTORY(test)                                                     \
	cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(help_fits_on_two_screens),
		IN_DIRECTORY(help_names_what_there_is),
		IN_DIRECTORY(capabilities_are_json_on_stdout),
		IN_DIRECTORY(a_wrong_command_line_ends_with_2),
		IN_DIRECTORY(an_image_that_cannot_be_served_ends_with_1),
		IN_DIRECTORY(a_socket_that_cannot_be_used_ends_with_1),
		IN_DIRECTORY(ready_is_said_on_stdout_with_what_to_paste),
		IN_DIRECTORY(the_socket_has_the_mode_that_was_asked_for),
		IN_DIRECTORY(quiet_means_silent),
		IN_DIRECTORY(the_service_manager_is_told),
		IN_DIRECTORY(run_passes_arguments_and_status_on),
		IN_DIRECTORY(run_tells_by_which_signal_its_command_ended),
		IN_DIRECTORY(run_passes_signals_on),
		IN_DIRECTORY(run_lets_its_command_see_signals_and_streams),
		IN_DIRECTORY(run_does_not_confine_its_command),
		IN_DIRECTORY(run_gives_its_command_a_connected_socket),
		IN_DIRECTORY(run_says_why_its_command_does_not_start),
		IN_DIRECTORY(run_leaves_nothing_behind),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
