/* SPDX-License-Identifier: MIT */
/*
 * file - regular files and block devices: opening and closing
 *
 * Opening is where all that could surprise the owner of an image is found
 * out, and said in a sentence: that it is not what it looks like, that
 * somebody else uses it, that it cannot be written, that the wished cache
 * mode does not work there.
 *
 * The image is opened with the page cache, looked at, and switched to
 * O_DIRECT afterwards: what is read here need not be aligned.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "server/drivers/drivers.h"
#include "server/drivers/file.h"
#include "server/drivers/file_flush.h"
#include "server/drivers/file_geometry.h"
#include "server/drivers/imagelock.h"
#include "server/drivers/probe.h"

static void close_file(struct driver *driver)
{
	struct file *file = file_of(driver);

	rmw_destroy(file->rmw);
	sync_fds_close(&file->sync_fds);
	rh_fd_close(&file->fd);
	free(file->path);
	free(file->name);
	free(file);
}

/* A host that fails later does not lose what the guest never flushed. */
static void flush_and_close(struct driver *driver)
{
	struct file *file = file_of(driver);

	if (!driver->info.read_only && !file->sync_error &&
	    fdatasync(file->fd) < 0)
		file_flush_poison(file, -errno);
	close_file(driver);
}

static const char *kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISSOCK(mode))
		return "a socket";
	if (S_ISFIFO(mode))
		return "a pipe";
	return "a character device";
}

/* Before it is opened: opening a pipe or a tape does something to it. */
static int check_kind(struct file *file)
{
	struct stat status;

	if (!*file->path) {
		rh_log(RH_LOG_ERROR, file->name,
		       "no image is given: name a file or a block device");
		return -EINVAL;
	}
	if (stat(file->path, &status) < 0) {
		int error = -errno;

		rh_log(RH_LOG_ERROR, file->name,
		       error == -ENOENT ?
			       "%s does not exist (%s): create it, for example "
			       "with truncate -s 10G" :
			       "cannot look at %s: %s",
		       file->path, strerror(-error));
		return error;
	}
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
		rh_log(RH_LOG_ERROR, file->name,
		       "%s is %s: give a regular file or a block device",
		       file->path, kind_of(status.st_mode));
		return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	}
	file->is_block_device = S_ISBLK(status.st_mode);
	return 0;
}

static bool means_not_writable(int error)
{
	return error == -EROFS || error == -EACCES || error == -EPERM ||
	       error == -ETXTBSY;
}

static void explain_open_error(const struct file *file, int error)
{
	bool read_only = file->driver.info.read_only;
	int wanted = read_only ? R_OK : R_OK | W_OK;

	if (error == -EACCES &&
	    !faccessat(AT_FDCWD, file->path, wanted, AT_EACCESS))
		rh_log(RH_LOG_ERROR, file->name,
		       "%s cannot be opened although its permissions allow it: "
		       "a confined daemon opens what lies in the directories "
		       "of --allow-path; SELinux or AppArmor may forbid it, too",
		       file->path);
	else if (!read_only && means_not_writable(error) &&
		 (error == -EROFS || !access(file->path, R_OK)))
		rh_log(RH_LOG_ERROR, file->name,
		       "%s is not writable (%s): serve it with --read-only",
		       file->path, strerror(-error));
	else if (error == -EACCES)
		rh_log(RH_LOG_ERROR, file->name,
		       "no permission to open %s: run ringhost as a user who "
		       "may %s it",
		       file->path, read_only ? "read" : "read and write");
	else
		rh_log(RH_LOG_ERROR, file->name, "cannot open %s: %s",
		       file->path, strerror(-error));
}

static int open_image(struct file *file)
{
	int flags = file->driver.info.read_only ? O_RDONLY : O_RDWR;
	int device_read_only = 0;
	int error = 0;

	file->fd = open(file->path, flags | O_CLOEXEC | O_NOCTTY);
	if (file->fd < 0)
		error = -errno;
	else if (file->is_block_device && flags == O_RDWR &&
		 !ioctl(file->fd, BLKROGET, &device_read_only) &&
		 device_read_only)
		error = -EROFS;
	if (error)
		explain_open_error(file, error);
	return error;
}

static void warn_without_locks(const struct file *file, int error)
{
	rh_log(RH_LOG_WARNING, file->name,
	       "the file system of %s has no locks (%s): nothing keeps another "
	       "process from writing it",
	       file->path, strerror(-error));
}

/*
 * An image in use is no reason to give up: the server to which a VM is about
 * to migrate starts while the other one still runs. Whether the image is
 * free counts when a guest starts to use it, in claim_file().
 */
static void look_at_lock(const struct file *file, bool succeeds)
{
	char who[64] = "another process";
	pid_t holder = 0;
	int error;

	if (file->force_share)
		return;
	error = imagelock_check(file->fd, !file->driver.info.read_only,
				&holder);
	if (holder)
		snprintf(who, sizeof(who), "process %ld", (long)holder);
	if (error == -EAGAIN && !succeeds)
		rh_log(RH_LOG_WARNING, file->name,
		       "%s is locked by %s: a guest gets it when that process "
		       "has ended; stop it, or pass --force-share",
		       file->path, who);
	else if (error && error != -EAGAIN)
		warn_without_locks(file, error);
}

/* The caller may wait for the holder, so he is the one to complain of him. */
static int claim_file(struct driver *driver)
{
	const struct file *file = file_of(driver);
	pid_t holder = 0;
	int error;

	if (file->force_share)
		return 0;
	error = imagelock_claim(file->fd, !driver->info.read_only, &holder);
	if (error == -EAGAIN)
		return error;
	if (error)
		warn_without_locks(file, error);
	return 0;
}

static void release_file(struct driver *driver)
{
	const struct file *file = file_of(driver);

	if (!file->force_share)
		imagelock_release(file->fd);
}

static int check_format(const struct file *file)
{
	const char *format = NULL;
	int found = probe_format(file->fd, file->size_bytes, &format);

	if (found < 0) {
		rh_log(RH_LOG_ERROR, file->name, "cannot read %s: %s",
		       file->path, strerror(-found));
		return found;
	}
	if (!found)
		return 0;
	rh_log(RH_LOG_ERROR, file->name,
	       "%s looks like %s; convert it with qemu-img convert -O raw, or "
	       "pass --format=raw to serve its bytes as they are",
	       file->path, format);
	return -EINVAL;
}

/*
 * A last sector that is cut counts as a whole one, as it does for QEMU: what
 * is missing reads as zeros, and writing it makes the file longer.
 */
static uint64_t offered_bytes(const struct file *file, uint64_t size_bytes)
{
	uint64_t whole_bytes = align_down(size_bytes + FILE_SECTOR_BYTES - 1,
					  FILE_SECTOR_BYTES);

	return align_down(whole_bytes, MAX(file->offset_align, 1u));
}

static void tell_of_odd_size(const struct file *file, uint64_t size_bytes)
{
	if (!size_bytes)
		rh_log(RH_LOG_WARNING, file->name,
		       "%s is empty: the guest sees a disk of 0 bytes",
		       file->path);
	if (!is_aligned(size_bytes, FILE_SECTOR_BYTES))
		rh_log(RH_LOG_WARNING, file->name,
		       "%s has %llu bytes, which is not a multiple of %d: its "
		       "last sector is filled up with zeros",
		       file->path, (unsigned long long)size_bytes,
		       FILE_SECTOR_BYTES);
	if (offered_bytes(file, size_bytes) < size_bytes)
		rh_log(RH_LOG_WARNING, file->name,
		       "the size of %s is not a multiple of %u, which O_DIRECT "
		       "needs: the guest does not see its end",
		       file->path, file->offset_align);
}

/* What has not changed was told before. */
static int learn_size(struct file *file, bool first)
{
	uint64_t size_bytes = 0;
	int error = file_learn_size(file, &size_bytes);
	uint64_t offered = offered_bytes(file, size_bytes);

	if (error) {
		rh_log(RH_LOG_ERROR, file->name,
		       "cannot learn the size of %s: %s", file->path,
		       strerror(-error));
		return error;
	}
	if (first || file->size_bytes != offered)
		tell_of_odd_size(file, size_bytes);
	file->size_bytes = offered;
	return 0;
}

static int set_direct(const struct file *file, bool on)
{
	int flags = fcntl(file->fd, F_GETFL);

	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(file->fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* Returns NULL if O_DIRECT is on now, or the reason why it is not. */
static const char *try_direct(struct file *file)
{
	if (set_direct(file, true) < 0)
		return "the file system refuses O_DIRECT";
	if (!file_learn_alignment(file)) {
		if (is_aligned(file->size_bytes, file->offset_align))
			return NULL;
		set_direct(file, false);
		file->offset_align = 1;
		return "O_DIRECT moves larger blocks than its size ends with";
	}
	set_direct(file, false);
	return "O_DIRECT does not work on its file system";
}

static int choose_cache(struct file *file, const struct driver_options *options)
{
	struct driver_info *info = &file->driver.info;
	const char *reason;

	file->offset_align = 1;
	file->buffer_align = 1;
	info->cache = options->cache;
	if (options->cache != DRIVER_CACHE_NONE)
		return 0;
	reason = try_direct(file);
	if (reason && options->cache_given) {
		rh_log(RH_LOG_ERROR, file->name,
		       "%s cannot be served without the page cache (%s): use "
		       "--cache=writeback or move the image",
		       file->path, reason);
		return -EOPNOTSUPP;
	}
	if (reason) {
		rh_log(RH_LOG_WARNING, file->name,
		       "%s is served through the page cache, as with "
		       "--cache=writeback: %s",
		       file->path, reason);
		info->cache = DRIVER_CACHE_WRITEBACK;
	}
	if (file->offset_align > FILE_SECTOR_BYTES)
		return rmw_create(file->offset_align, &file->rmw);
	return 0;
}

static int learn_device_block(struct file *file)
{
	int block_bytes = 0;

	if (!file->is_block_device)
		return 0;
	if (ioctl(file->fd, BLKSSZGET, &block_bytes) < 0)
		return -errno;
	file->device_block_bytes = (uint32_t)block_bytes;
	return 0;
}

static int create_file(const struct driver_options *options, struct file **ret)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->driver.ops = &driver_file;
	file->driver.info.read_only = options->read_only;
	file->force_share = options->force_share;
	file->fd = -1;
	file->name = strdup(options->name);
	file->path = strdup(options->image ?: "");
	if (!file->name || !file->path) {
		close_file(&file->driver);
		return -ENOMEM;
	}
	*ret = file;
	return 0;
}

static int open_for_flushes(struct file *file, unsigned int nr_workers)
{
	int error = sync_fds_open(&file->sync_fds, file->fd, nr_workers);

	if (error)
		rh_log(RH_LOG_ERROR, file->name,
		       "cannot open %s for each of %u threads: %s", file->path,
		       nr_workers, strerror(-error));
	return error;
}

static int open_file(const struct driver_options *options, struct driver **ret)
{
	struct file *file = NULL;
	int error = create_file(options, &file);

	if (error)
		return error;
	error = check_kind(file);
	if (!error)
		error = open_image(file);
	if (!error)
		error = learn_size(file, true);
	if (!error)
		error = learn_device_block(file);
	if (!error && !options->raw_given)
		error = check_format(file);
	if (!error)
		error = choose_cache(file, options);
	if (!error)
		error = open_for_flushes(file, options->nr_workers);
	if (error) {
		close_file(&file->driver);
		return error;
	}
	look_at_lock(file, options->succeeds);
	file_learn_speed(file);
	file_learn_limits(file);
	*ret = &file->driver;
	return 0;
}

static int refresh_file(struct driver *driver, uint64_t *ret)
{
	struct file *file = file_of(driver);
	int error = learn_size(file, false);

	if (!error)
		*ret = file->size_bytes;
	return error;
}

/* What it has is as good as what was asked for, if that is the same. */
static int accept_device_size(const struct file *file, uint64_t size_bytes)
{
	uint64_t has_bytes = 0;
	int error = file_learn_size(file, &has_bytes);

	if (!error && has_bytes == size_bytes)
		return 0;
	rh_log(RH_LOG_ERROR, file->name,
	       "%s is a block device, which has %llu bytes: change it with its "
	       "own tool, such as lvextend, then give the size that it has",
	       file->path, (unsigned long long)has_bytes);
	return error ? error : -EOPNOTSUPP;
}

/* In a description of its own: see sync_fds.h. */
static int flush_file(struct driver *driver)
{
	struct file *file = file_of(driver);
	int error = 0;
	int fd;

	if (driver->info.read_only)
		return 0;
	fd = sync_fds_take(&file->sync_fds);
	if (fd < 0 || fdatasync(fd) < 0)
		error = fd < 0 ? fd : -errno;
	sync_fds_give(&file->sync_fds, &fd);
	if (error)
		file_flush_poison(file, error);
	return file->sync_error;
}

static int sync_error_of_file(const struct driver *driver)
{
	return container_of(driver, struct file, driver)->sync_error;
}

static void note_sync_error(struct driver *driver, int error)
{
	file_flush_poison(file_of(driver), error);
}

static const char *why_not_that_long(int error)
{
	switch (error) {
	case -EFBIG:
	case -EINVAL:
		return "its file system does not take files of that size, or "
		       "this process may not make them, see ulimit -f";
	case -EPERM:
	case -ETXTBSY:
		return "its size is fixed, by a seal, an attribute or another "
		       "use of it";
	}
	return strerror(-error);
}

/* Another process has it in use: its end is not ours to move. */
static int check_nobody_has_it(const struct file *file)
{
	pid_t holder = 0;

	if (file->force_share ||
	    imagelock_check(file->fd, true, &holder) != -EAGAIN)
		return 0;
	rh_log(RH_LOG_ERROR, file->name,
	       "%s is locked by process %ld (0: not known), which would not "
	       "know of another size: have that one resize it",
	       file->path, (long)holder);
	return -EAGAIN;
}

static int resize_file(struct driver *driver, uint64_t size_bytes)
{
	const struct file *file = file_of(driver);
	int error;

	if (file->is_block_device)
		return accept_device_size(file, size_bytes);
	error = check_nobody_has_it(file);
	if (error)
		return error;
	if (!is_aligned(size_bytes, file->offset_align)) {
		rh_log(RH_LOG_ERROR, file->name,
		       "%s cannot have %llu bytes: give a multiple of %u, "
		       "which O_DIRECT needs there",
		       file->path, (unsigned long long)size_bytes,
		       file->offset_align);
		return -EINVAL;
	}
	if (ftruncate(file->fd, (off_t)size_bytes) < 0)
		error = -errno;
	if (error)
		rh_log(RH_LOG_ERROR, file->name,
		       "%s cannot have %llu bytes: %s", file->path,
		       (unsigned long long)size_bytes,
		       why_not_that_long(error));
	return error;
}

const struct driver_ops driver_file = {
	.name = "file",
	.open = open_file,
	.close = flush_and_close,
	.attach = file_attach,
	.detach = file_detach,
	.submit = file_submit,
	.claim = claim_file,
	.release = release_file,
	.refresh = refresh_file,
	.resize = resize_file,
	.flush = flush_file,
	.sync_error = sync_error_of_file,
	.note_sync_error = note_sync_error,
};
