/* SPDX-License-Identifier: MIT */
/* file - an image is opened with care, or refused with a reason */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/disk.h"

#define IMAGE_BYTES (1u << 20)

static char image[64];

static int make_image(void **state)
{
	(void)state;
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	return 0;
}

static int remove_image(void **state)
{
	(void)state;
	unlink(image);
	return 0;
}

static struct disk open_disk(const struct driver_options *options)
{
	struct disk disk = { 0 };

	assert_int_equal(disk_open(&disk, options, ENGINE_FAKE), 0);
	return disk;
}

static int refused(const struct driver_options *options)
{
	struct disk disk = { 0 };
	int error = disk_open(&disk, options, ENGINE_FAKE);

	if (!error)
		disk_close(&disk);
	return error;
}

static void what_an_image_is_can_be_asked(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	const struct driver_info *info = &disk.driver->info;

	(void)state;
	assert_int_equal(info->size_bytes, IMAGE_BYTES);
	assert_int_equal(info->logical_block_bytes, 512);
	assert_true(info->physical_block_bytes >= 512);
	assert_false(info->read_only);
	assert_int_equal(info->cache, DRIVER_CACHE_WRITEBACK);
	assert_true(info->can_write_zeroes);
	assert_null(disk_logged(""));
	disk_close(&disk);
}

static void what_is_no_image_is_refused_with_a_sentence(void **state)
{
	struct driver_options options = disk_options(NULL);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("name a file or a block device"));
	disk_listen_to_log();
	options.image = "";
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("name a file or a block device"));
	options.image = "no-such-image";
	assert_int_equal(refused(&options), -ENOENT);
	assert_non_null(disk_logged("no-such-image does not exist"));
	options.image = ".";
	assert_int_equal(refused(&options), -EISDIR);
	assert_non_null(disk_logged(". is a directory: give a regular file"));
	options.image = "/dev/zero";
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("is a character device: give a regular"));

	options.image = image;
	unlink(image);
	assert_int_equal(mkfifo(image, 0600), 0);
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("is a pipe: give a regular"));
	unlink(image);
	strcpy(address.sun_path, image);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("is a socket: give a regular"));
}

/* Root may write whatever is not immutable. */
static bool make_unwritable(bool on)
{
	cleanup_close int fd = open(image, O_RDONLY | O_CLOEXEC);
	int flags = 0;

	if (geteuid())
		return !chmod(image, on ? 0400 : 0600);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return false;
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	return !ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* Behaviour 21 */
static void an_unwritable_image_is_served_read_only_or_not(void **state)
{
	struct driver_options options = disk_options(image);
	int error_for_writing;
	int error_for_reading;

	(void)state;
	if (!make_unwritable(true))
		skip();
	error_for_writing = refused(&options);
	options.read_only = true;
	error_for_reading = refused(&options);
	assert_true(make_unwritable(false));
	assert_true(error_for_writing == -EPERM ||
		    error_for_writing == -EACCES);
	assert_non_null(disk_logged("serve it with --read-only"));
	assert_int_equal(error_for_reading, 0);
}

/* G-27, behaviour 28 */
static void a_read_only_disk_does_not_write(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk;
	uint8_t data[512];

	(void)state;
	options.read_only = true;
	disk = open_disk(&options);
	assert_true(disk.driver->info.read_only);
	assert_false(disk.driver->info.can_discard);
	assert_false(disk.driver->info.can_write_zeroes);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 512), 0);
	assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 512), -EROFS);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(disk_do(&disk, BLK_WRITE_ZEROES, 0, NULL, 512),
			 -EROFS);
	disk_close(&disk);
}

/* A file of /proc is a regular one, and has never heard of O_DIRECT. */
static void the_page_cache_steps_in_where_direct_access_is_refused(void **state)
{
	struct driver_options options = disk_options("/proc/version");
	struct disk disk;

	(void)state;
	options.read_only = true;
	options.cache = DRIVER_CACHE_NONE;
	disk = open_disk(&options);
	assert_int_equal(disk.driver->info.cache, DRIVER_CACHE_WRITEBACK);
	assert_int_equal(disk_nr_logged("served through the page cache"), 1);
	disk_close(&disk);

	options.cache_given = true;
	assert_int_equal(refused(&options), -EOPNOTSUPP);
	assert_non_null(disk_logged("use --cache=writeback"));
}

/* It opens in any case: the VM may be about to migrate to this server. */
static void expect_warned(const struct driver_options *options, bool warned)
{
	struct disk disk;

	disk_listen_to_log();
	disk = open_disk(options);
	assert_int_equal(disk_nr_logged("is locked by another process"),
			 warned);
	disk_close(&disk);
}

/* Behaviour 21 */
static void an_image_that_is_being_written_is_not_claimed(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk first = open_disk(&options);
	struct disk second = open_disk(&options);
	const struct driver_ops *ops = first.driver->ops;

	(void)state;
	/* Both are open: who comes first has it. */
	assert_int_equal(ops->claim(first.driver), 0);
	assert_int_equal(ops->claim(second.driver), -EAGAIN);
	assert_int_equal(ops->resize(second.driver, IMAGE_BYTES), -EAGAIN);
	assert_non_null(disk_logged("have that one resize it"));
	assert_int_equal(ops->resize(first.driver, IMAGE_BYTES), 0);
	expect_warned(&options, true);
	options.read_only = true;
	expect_warned(&options, true);
	options.force_share = true;
	expect_warned(&options, false);

	ops->release(first.driver);
	options = disk_options(image);
	expect_warned(&options, false);
	assert_int_equal(ops->claim(second.driver), 0);
	assert_int_equal(ops->claim(first.driver), -EAGAIN);
	disk_close(&second);
	assert_int_equal(ops->claim(first.driver), 0);
	disk_close(&first);
}

static void a_disk_in_use_keeps_its_claim(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	struct disk worker;

	(void)state;
	assert_int_equal(disk.driver->ops->claim(disk.driver), 0);
	disk_attach(&worker, disk.driver, ENGINE_FAKE);
	disk_detach(&worker);
	expect_warned(&options, true);
	disk_close(&disk);
}

static void readers_share_an_image(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk first;
	struct disk second;

	(void)state;
	options.read_only = true;
	first = open_disk(&options);
	second = open_disk(&options);
	assert_int_equal(first.driver->ops->claim(first.driver), 0);
	assert_int_equal(second.driver->ops->claim(second.driver), 0);
	disk_close(&second);
	options.read_only = false;
	expect_warned(&options, true);
	second = open_disk(&options);
	assert_int_equal(second.driver->ops->claim(second.driver), -EAGAIN);
	disk_close(&second);
	disk_close(&first);
}

/* D-11 */
static void a_header_that_the_guest_wrote_changes_nothing(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	uint8_t header[512] = "QFI\xfb\0\0\0\3";
	uint8_t found[512];

	(void)state;
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, header, 512), 0);
	disk_close(&disk);
	assert_int_equal(refused(&options), -EINVAL);
	assert_non_null(disk_logged("looks like qcow2; convert it with "
				    "qemu-img convert -O raw, or pass "
				    "--format=raw to serve its bytes"));
	options.raw_given = true;
	disk = open_disk(&options);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, found, 512), 0);
	assert_memory_equal(found, header, 512);
	assert_int_equal(disk.driver->info.size_bytes, IMAGE_BYTES);
	disk_close(&disk);
}

static void check_cut_sector(enum driver_cache cache)
{
	struct driver_options options = disk_options(image);
	uint8_t *data = disk_memory(4096);
	struct stat status;
	struct disk disk;

	assert_int_equal(truncate(image, 0), 0);
	assert_int_equal(truncate(image, 1000), 0);
	options.cache = cache;
	disk = open_disk(&options);
	assert_non_null(disk_logged("not a multiple of 512"));
	assert_int_equal(disk.driver->info.size_bytes, 1024);
	disk_fill(data, 0, 1024, 1);
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 512), 0);
	memset(data, 0xee, 1024);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 1024), 0);
	for (size_t i = 512; i < 1024; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, 1000);
	assert_int_equal(disk_do(&disk, BLK_READ, 1024, data, 512), -EIO);
	disk_fill(data, 512, 512, 1);
	assert_int_equal(disk_do(&disk, BLK_WRITE, 512, data, 512), 0);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, 1024);
	free(data);
	disk_close(&disk);
}

static void a_last_sector_that_is_cut_is_filled_up(void **state)
{
	(void)state;
	check_cut_sector(DRIVER_CACHE_WRITEBACK);
	check_cut_sector(DRIVER_CACHE_NONE);
}

static void an_empty_image_is_a_disk_of_nothing(void **state)
{
	struct driver_options options = disk_options(image);
	uint8_t data[512];
	struct disk disk;

	(void)state;
	assert_int_equal(truncate(image, 0), 0);
	disk = open_disk(&options);
	assert_int_equal(disk.driver->info.size_bytes, 0);
	assert_non_null(disk_logged("is empty"));
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 512), -EIO);
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 512), -EIO);
	disk_close(&disk);
}

static void a_new_size_is_learned_when_asked_to(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	struct driver *driver = disk.driver;
	uint8_t data[512] = { 0 };
	uint64_t size_bytes = 0;
	struct stat status;

	(void)state;
	assert_int_equal(truncate(image, 2 * IMAGE_BYTES), 0);
	assert_int_equal(driver->ops->refresh(driver, &size_bytes), 0);
	assert_int_equal(size_bytes, 2 * IMAGE_BYTES);
	assert_int_equal(driver->info.size_bytes, IMAGE_BYTES);
	assert_int_equal(
		disk_do(&disk, BLK_WRITE, 2 * IMAGE_BYTES - 512, data, 512), 0);

	/* D-17: what was checked against the old size does not regrow it. */
	assert_int_equal(truncate(image, IMAGE_BYTES), 0);
	assert_int_equal(driver->ops->refresh(driver, &size_bytes), 0);
	assert_int_equal(size_bytes, IMAGE_BYTES);
	assert_int_equal(disk_do(&disk, BLK_WRITE, IMAGE_BYTES, data, 512),
			 -EIO);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, IMAGE_BYTES);
	disk_close(&disk);
}

static uint64_t resize_and_look(struct driver *driver, uint64_t size_bytes)
{
	uint64_t seen_bytes = 0;

	assert_int_equal(driver->ops->resize(driver, size_bytes), 0);
	assert_int_equal(driver->ops->refresh(driver, &seen_bytes), 0);
	return seen_bytes;
}

static void the_image_gets_the_size_that_is_asked_for(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	uint8_t data[512] = { 1 };
	struct stat status;

	(void)state;
	assert_int_equal(resize_and_look(disk.driver, 2 * IMAGE_BYTES),
			 2 * IMAGE_BYTES);
	assert_int_equal(
		disk_do(&disk, BLK_WRITE, 2 * IMAGE_BYTES - 512, data, 512), 0);
	assert_int_equal(resize_and_look(disk.driver, IMAGE_BYTES / 2),
			 IMAGE_BYTES / 2);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, IMAGE_BYTES / 2);
	assert_int_equal(disk_do(&disk, BLK_WRITE, IMAGE_BYTES / 2, data, 512),
			 -EIO);
	disk_close(&disk);
}

static void a_size_that_the_file_system_refuses_is_refused(void **state)
{
	const struct rlimit small = { 4 * IMAGE_BYTES, RLIM_INFINITY };
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	struct rlimit before;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(disk.driver->ops->resize(disk.driver, 8 * IMAGE_BYTES),
			 -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_non_null(disk_logged("ulimit -f"));
	disk_close(&disk);
}

/* From now on fdatasync(2) fails with EIO in this process. */
static bool refuse_to_sync(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fdatasync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Behaviour 7; the sync is seen by the complaint about its failure. */
static void a_flush_beside_the_workers_is_one(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(disk.driver->ops->flush(disk.driver), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (!refuse_to_sync() ||
		    disk.driver->ops->flush(disk.driver) != -EIO)
			_exit(2);
		/* And it is not forgotten. */
		_exit(disk.driver->ops->flush(disk.driver) == -EIO ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	disk_close(&disk);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_is_in_the_cache_is_synced_at_the_end(void **state)
{
	struct driver_options options = disk_options(image);
	struct disk disk = open_disk(&options);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (!refuse_to_sync())
			_exit(2);
		disk_close(&disk);
		_exit(disk_nr_logged("could not be made durable") == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	disk_close(&disk);
	assert_int_equal(disk_nr_logged("could not be made durable"), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define FILE_TEST(function)                                                    \
	cmocka_unit_test_setup_teardown(function, make_image, remove_image)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(what_an_image_is_can_be_asked),
		FILE_TEST(what_is_no_image_is_refused_with_a_sentence),
		FILE_TEST(an_unwritable_image_is_served_read_only_or_not),
		FILE_TEST(a_read_only_disk_does_not_write),
		FILE_TEST(
			the_page_cache_steps_in_where_direct_access_is_refused),
		FILE_TEST(an_image_that_is_being_written_is_not_claimed),
		FILE_TEST(a_disk_in_use_keeps_its_claim),
		FILE_TEST(readers_share_an_image),
		FILE_TEST(a_header_that_the_guest_wrote_changes_nothing),
		FILE_TEST(a_last_sector_that_is_cut_is_filled_up),
		FILE_TEST(an_empty_image_is_a_disk_of_nothing),
		FILE_TEST(a_new_size_is_learned_when_asked_to),
		FILE_TEST(the_image_gets_the_size_that_is_asked_for),
		FILE_TEST(a_size_that_the_file_system_refuses_is_refused),
		FILE_TEST(a_flush_beside_the_workers_is_one),
		FILE_TEST(what_is_in_the_cache_is_synced_at_the_end),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
