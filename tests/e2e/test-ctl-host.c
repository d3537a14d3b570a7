/* SPDX-License-Identifier: MIT */
/*
 * ctl-host - what the host says of disks, and what a domain needs for them
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/ctl.h"

#define DOCTOR "%s ctl --socket=/tmp/none/s doctor "

/* True if a line begins with verdict, two blanks, and has part. */
static bool says(const char *verdict, const char *part)
{
	char start[32];
	const char *line = output;

	snprintf(start, sizeof(start), "%-7s  ", verdict);
	for (; line; line = strchr(line, '\n'), line += line != NULL) {
		const char *found = strstr(line, part);
		const char *end = strchr(line, '\n');

		if (!strncmp(line, start, strlen(start)) && found &&
		    (!end || found < end))
			return true;
	}
	return false;
}

static void expect_line(const char *verdict, const char *part)
{
	if (!says(verdict, part))
		fail_msg("there is no %s '%s' in:\n%s", verdict, part, output);
}

static void the_host_is_looked_at_without_a_daemon(void **state)
{
	(void)state;
	expect(run(DOCTOR, program()), 0);
	expect_line("warning", "daemon: there is none at /tmp/none/s");
	expect_line("ok", "kernel: Linux ");
	assert_true(says("ok", "seccomp") || says("warning", "seccomp"));
	assert_true(says("ok", "io_uring") || says("warning", "io_uring"));
	expect(run("%s ctl --socket=/tmp/none/s --json doctor", program()), 0);
	json_decref(ctl_output());
}

/* Few descriptors are told as such: of this process, without a daemon. */
static void limits_that_are_low_are_warned_of(void **state)
{
	(void)state;
	expect(run("ulimit -n 64; exec " DOCTOR, program()), 0);
	expect_line("warning", "open files: at most 64");
	has("raise LimitNOFILE=");
}

static void an_image_is_looked_at(void **state)
{
	char dir[] = "/tmp/ringhost-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	expect(run("cd %s && truncate -s 1M raw && printf 'QFI\\373' >cow && "
		   "truncate -s 1M cow; " DOCTOR "raw",
		   dir, program()),
	       0);
	expect_line("ok", "image: raw is locked by nobody");
	expect(run("cd %s && " DOCTOR "cow none", dir, program()), 1);
	expect_line("problem", "cow looks like qcow2");
	expect_line("problem", "path: none: No such file");
	expect(run("rm -r %s", dir), 0);
}

/* This one has it, in the way of QEMU's programs: it writes. */
static void an_image_that_another_process_has_is_named_with_it(void **state)
{
	struct flock lock = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = 101,
			      .l_len = 1 };
	char path[] = "/tmp/ringhost-XXXXXX";
	char part[128];
	int fd = mkostemp(path, O_CLOEXEC); /* or the shell has it, too */

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	expect(run(DOCTOR "%s", program(), path), 1);
	snprintf(part, sizeof(part), "image: %s is locked by test-ctl-host (",
		 path);
	expect_line("problem", part);
	snprintf(part, sizeof(part), "(process %d)", (int)getpid());
	expect_line("problem", part);
	close(fd);
	expect(run(DOCTOR "%s", program(), path), 0);
	unlink(path);
}

static void who_may_connect_is_told(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	expect(ctl(&daemon, "doctor --user=bin e0.sock"), 1);
	expect_line("problem", "socket: bin cannot connect: the mode of ");
	expect(run("cd %s && chmod o+x . && chmod 0666 e0.sock && %s ctl "
		   "--socket=control doctor --user=bin e0.sock",
		   daemon.server.dir, program()),
	       0);
	expect_line("ok", "socket: bin can connect to ");
	expect_line("warning", "socket: every user may connect to ");
	expect(run("cd %s && chmod 0777 . && %s ctl --socket=control doctor .",
		   daemon.server.dir, program()),
	       1);
	expect_line("problem", "every user may replace sockets in ");
	expect(ctl(&daemon, "doctor --user=nobody-of-that-name ."), 1);
	has("there is no user nobody-of-that-name");
	daemon_stop(&daemon);
}

static void a_socket_on_which_nobody_listens_is_a_problem(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	expect(ctl(&daemon, "doctor e0.sock"), 0);
	expect_line("ok", "daemon: process ");
	expect(run("cd %s && cp -a e0.sock dead.sock 2>/dev/null; %s ctl "
		   "--socket=control doctor dead.sock",
		   daemon.server.dir, program()),
	       1);
	expect_line("problem", "nobody listens on ");
	daemon_stop(&daemon);
}

static void a_domain_gets_its_disk(void **state)
{
	struct daemon daemon;
	json_t *value;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	expect(ctl(&daemon, "add \"a'<&\" --image=b.img --num-queues=2 "
			    "--socket=\"x'<&.sock\""),
	       0);
	expect(ctl(&daemon, "libvirt-xml \"a'<&\""), 0);
	has("<disk type='vhostuser' device='disk'>\n"
	    "  <driver name='qemu' type='raw' queues='2'/>\n"
	    "  <source type='unix' path='");
	has("/x&apos;&lt;&amp;.sock'>\n"
	    "    <reconnect enabled='yes' timeout='1'/>\n");
	has("<source type='memfd'/>");
	expect(ctl(&daemon, "--json libvirt-xml \"a'<&\""), 0);
	value = ctl_output();
	assert_non_null(strstr(json_string_value(json_object_get(value, "xml")),
			       "<disk "));
	json_decref(value);
	expect(ctl(&daemon, "libvirt-xml e0 2>&1"), 1);
	has("needs a socket with an absolute path, and this disk has the "
	    "relative one e0.sock");
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_is_looked_at_without_a_daemon),
		cmocka_unit_test(limits_that_are_low_are_warned_of),
		cmocka_unit_test(an_image_is_looked_at),
		cmocka_unit_test(
			an_image_that_another_process_has_is_named_with_it),
		cmocka_unit_test(who_may_connect_is_told),
		cmocka_unit_test(a_socket_on_which_nobody_listens_is_a_problem),
		cmocka_unit_test(a_domain_gets_its_disk),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("ctl-host", tests, NULL, NULL);
}
