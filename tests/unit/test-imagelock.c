/* SPDX-License-Identifier: MIT */
/*
 * imagelock - no two programs write one image, be they ringhost or QEMU's
 *
 * Behaviour 21
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/drivers/imagelock.h"
#include "tests/unit/disk.h"

static char image[64];

static int make_image(void **state)
{
	(void)state;
	disk_make_image(image, 1 << 20);
	return 0;
}

static int remove_image(void **state)
{
	(void)state;
	unlink(image);
	return 0;
}

static int open_image(void)
{
	int fd = open(image, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int check(int fd, bool for_writing)
{
	pid_t holder = 0;

	return imagelock_check(fd, for_writing, &holder);
}

static int claim(int fd, bool for_writing)
{
	pid_t holder = 0;

	return imagelock_claim(fd, for_writing, &holder);
}

static void a_second_writer_is_refused(void **state)
{
	int first = open_image();
	int second = open_image();

	(void)state;
	assert_int_equal(claim(first, true), 0);
	assert_int_equal(check(second, true), -EAGAIN);
	assert_int_equal(claim(second, true), -EAGAIN);
	assert_int_equal(claim(second, false), -EAGAIN);
	close(first);
	close(second);
}

static void readers_share_and_keep_writers_out(void **state)
{
	int first = open_image();
	int second = open_image();
	int third = open_image();

	(void)state;
	assert_int_equal(claim(first, false), 0);
	assert_int_equal(claim(second, false), 0);
	assert_int_equal(check(third, true), -EAGAIN);
	assert_int_equal(claim(third, true), -EAGAIN);
	close(first);
	assert_int_equal(claim(third, true), -EAGAIN);
	close(second);
	assert_int_equal(claim(third, true), 0);
	close(third);
}

static void a_refused_claim_leaves_nothing_behind(void **state)
{
	int first = open_image();
	int second = open_image();
	int third = open_image();

	(void)state;
	assert_int_equal(claim(first, false), 0);
	assert_int_equal(claim(second, true), -EAGAIN);
	assert_int_equal(claim(third, false), 0);
	close(first);
	close(second);
	close(third);
}

static void what_was_released_can_be_claimed(void **state)
{
	int first = open_image();
	int second = open_image();

	(void)state;
	assert_int_equal(claim(first, true), 0);
	imagelock_release(first);
	assert_int_equal(claim(second, true), 0);
	imagelock_release(second);
	imagelock_release(second);
	assert_int_equal(claim(first, true), 0);
	close(first);
	close(second);
}

static void checking_takes_nothing(void **state)
{
	int first = open_image();
	int second = open_image();

	(void)state;
	assert_int_equal(check(first, true), 0);
	assert_int_equal(claim(second, true), 0);
	close(first);
	close(second);
}

static void claiming_again_is_harmless(void **state)
{
	int fd = open_image();

	(void)state;
	assert_int_equal(claim(fd, true), 0);
	assert_int_equal(claim(fd, true), 0);
	assert_int_equal(check(fd, true), 0);
	close(fd);
}

/* An open file description has no process, a lock of the old kind has. */
static void a_holder_is_named_only_if_it_is_known(void **state)
{
	struct flock lock = { F_RDLCK, SEEK_SET, 201, 1, 0 };
	int mine = open_image();
	int other = open_image();
	pid_t holder = -1;
	int pipe_fds[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(claim(other, true), 0);
	assert_int_equal(imagelock_check(mine, true, &holder), -EAGAIN);
	assert_int_equal(holder, 0);
	close(other);

	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (!child) {
		if (!fcntl(mine, F_SETLK, &lock) &&
		    write(pipe_fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(imagelock_check(mine, true, &holder), -EAGAIN);
	assert_int_equal(holder, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(mine);
}

static int run(const char *format)
{
	char command[256];

	snprintf(command, sizeof(command), format, image);
	return system(command);
}

static void need(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (system(command))
		skip();
}

#define QUIETLY " >/dev/null 2>&1"

static void qemu_keeps_away_from_what_is_claimed_for_writing(void **state)
{
	int fd = open_image();

	(void)state;
	need("qemu-io");
	assert_int_equal(run("qemu-io -f raw -c 'write 0 512' %s" QUIETLY), 0);
	assert_int_equal(claim(fd, true), 0);
	assert_int_not_equal(run("qemu-io -f raw -c 'write 0 512' %s" QUIETLY),
			     0);
	assert_int_not_equal(run("qemu-img resize -f raw %s 2M" QUIETLY), 0);
	assert_int_not_equal(
		run("qemu-img convert -f raw %s %1$s.copy" QUIETLY), 0);
	assert_int_equal(run("qemu-img convert -U -f raw -O raw %s %1$s.copy "
			     "&& rm %1$s.copy"),
			 0);
	assert_int_equal(run("qemu-io -U -r -f raw -c 'read 0 512' %s" QUIETLY),
			 0);
	imagelock_release(fd);
	assert_int_equal(run("qemu-io -f raw -c 'write 0 512' %s" QUIETLY), 0);
	close(fd);
}

static void qemu_may_read_what_is_claimed_for_reading(void **state)
{
	int fd = open_image();

	(void)state;
	need("qemu-io");
	assert_int_equal(claim(fd, false), 0);
	assert_int_not_equal(run("qemu-io -f raw -c 'write 0 512' %s" QUIETLY),
			     0);
	assert_int_equal(run("qemu-img convert -f raw -O raw %s %1$s.copy && "
			     "rm %1$s.copy"),
			 0);
	close(fd);
}

/*
 * Start a program that reads commands, and return when its answer to the
 * first shows that it has the image open.
 */
static FILE *start(const char *program, const char *first, const char *sign)
{
	char command[512];
	char line[256];
	FILE *stream;

	snprintf(command, sizeof(command),
		 "mkfifo %s.in; (echo '%s'; cat %s.in) | %s%s 2>&1", image,
		 first, image, program, image);
	stream = popen(command, "re");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream))
		if (strstr(line, sign))
			return stream;
	fail_msg("%s did not start", program);
	return NULL;
}

static void end(FILE *stream, const char *last)
{
	char command[256];
	char line[256];

	snprintf(command, sizeof(command), "echo '%s' >%s.in", last, image);
	assert_int_equal(system(command), 0);
	while (fgets(line, sizeof(line), stream))
		;
	pclose(stream);
	assert_int_equal(run("rm %s.in"), 0);
}

static void what_qemu_io_writes_cannot_be_claimed(void **state)
{
	int fd = open_image();
	FILE *stream;

	(void)state;
	need("qemu-io");
	stream = start("qemu-io -f raw ", "write 0 512", "wrote");
	assert_int_equal(check(fd, true), -EAGAIN);
	assert_int_equal(claim(fd, true), -EAGAIN);
	assert_int_equal(claim(fd, false), -EAGAIN);
	end(stream, "quit");
	assert_int_equal(claim(fd, true), 0);
	close(fd);
}

static void what_a_virtual_machine_writes_cannot_be_claimed(void **state)
{
	int fd = open_image();
	FILE *stream;

	(void)state;
	need("qemu-system-x86_64");
	stream = start("qemu-system-x86_64 -machine q35,accel=tcg -S -display "
		       "none -serial none -qmp stdio -drive format=raw,"
		       "if=virtio,file=",
		       "{\"execute\": \"qmp_capabilities\"}", "return");
	assert_int_equal(check(fd, true), -EAGAIN);
	assert_int_equal(claim(fd, true), -EAGAIN);
	assert_int_equal(claim(fd, false), -EAGAIN);
	end(stream, "{\"execute\": \"quit\"}");
	assert_int_equal(claim(fd, true), 0);
	close(fd);
}

/* 1: by itself, at once */
static void expect_refusal(int status)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void what_runs_for_long_does_not_start_on_a_claimed_image(void **state)
{
	int fd = open_image();

	(void)state;
	need("qemu-system-x86_64");
	need("qemu-storage-daemon");
	assert_int_equal(claim(fd, true), 0);
	expect_refusal(run("timeout 180 qemu-system-x86_64 -machine "
			   "q35,accel=tcg -S -display none -serial none -drive "
			   "format=raw,if=virtio,file=%s" QUIETLY));
	expect_refusal(run("timeout 180 qemu-storage-daemon --nbd-server "
			   "addr.type=unix,addr.path=%s.socket --blockdev "
			   "file,node-name=f,filename=%1$s --export "
			   "nbd,id=e,node-name=f,writable=on" QUIETLY));
	assert_int_equal(run("rm -f %s.socket"), 0);
	close(fd);
}

#define LOCK_TEST(function)                                                    \
	cmocka_unit_test_setup_teardown(function, make_image, remove_image)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCK_TEST(a_second_writer_is_refused),
		LOCK_TEST(readers_share_and_keep_writers_out),
		LOCK_TEST(a_refused_claim_leaves_nothing_behind),
		LOCK_TEST(what_was_released_can_be_claimed),
		LOCK_TEST(checking_takes_nothing),
		LOCK_TEST(claiming_again_is_harmless),
		LOCK_TEST(a_holder_is_named_only_if_it_is_known),
		LOCK_TEST(qemu_keeps_away_from_what_is_claimed_for_writing),
		LOCK_TEST(qemu_may_read_what_is_claimed_for_reading),
		LOCK_TEST(what_qemu_io_writes_cannot_be_claimed),
		LOCK_TEST(what_a_virtual_machine_writes_cannot_be_claimed),
		LOCK_TEST(what_runs_for_long_does_not_start_on_a_claimed_image),
	};

	return cmocka_run_group_tests_name("imagelock", tests, NULL, NULL);
}
