/* SPDX-License-Identifier: MIT */
/*
 * doctor_image - can an image be served, and who uses it now?
 *
 * Locks of open file descriptions name no process; who holds them is found in
 * /proc: a process that has the file open, with a lock on that description.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "ctl/doctor.h"
#include "server/drivers/imagelock.h"
#include "server/drivers/probe.h"
#include "server/sizes.h"

#define SUBJECT	     "image"
#define BLOCK_BYTES  512
#define MANY_ENTRIES 4096 /* of a process's files; the others are not seen */

/* True if this description of the file has a lock. */
static bool is_locked(const char *pid, const char *fd_name)
{
	char path[128];
	char line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd_name);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "lock:", 5);
	if (file)
		fclose(file);
	return found;
}

static bool holds(const char *pid, const struct stat *image)
{
	char path[64];
	struct dirent *entry;
	struct stat status;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	for (unsigned int i = 0; dir && !found && i < MANY_ENTRIES; i++) {
		entry = readdir(dir);
		if (!entry)
			break;
		found = fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 &&
			status.st_ino == image->st_ino &&
			status.st_dev == image->st_dev &&
			is_locked(pid, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* A process that holds a lock of it; 0: none that this user may look at. */
static pid_t find_holder(const struct stat *image)
{
	struct dirent *entry;
	pid_t holder = 0;
	DIR *dir = opendir("/proc");

	while (dir && !holder && (entry = readdir(dir))) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && holds(entry->d_name, image))
			holder = (pid_t)pid;
	}
	if (dir)
		closedir(dir);
	return holder;
}

static void say_locked(struct doctor *doctor, const char *path, pid_t holder)
{
	char comm_path[64];
	char name[64] = "?";

	if (!holder) {
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
			   "%s is locked by a process of another user; run "
			   "this as root to see which",
			   path);
		return;
	}
	snprintf(comm_path, sizeof(comm_path), "/proc/%d/comm", (int)holder);
	doctor_read(comm_path, name, sizeof(name));
	if (holder == doctor->daemon)
		doctor_say(doctor, DOCTOR_OK, SUBJECT,
			   "%s is locked by the daemon, whose guest uses it",
			   path);
	else
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
			   "%s is locked by %s (process %d); no guest gets it "
			   "from anybody else until that has ended",
			   path, name, (int)holder);
}

static void look_at_lock(struct doctor *doctor, const char *path, int fd,
			 bool writable)
{
	struct stat status;
	pid_t holder = 0;
	int error = imagelock_check(fd, writable, &holder);

	if (!error)
		doctor_say(doctor, DOCTOR_OK, SUBJECT, "%s is locked by nobody",
			   path);
	else if (error != -EAGAIN)
		doctor_say(doctor, DOCTOR_WARNING, SUBJECT,
			   "%s cannot be locked there (%s); nothing keeps a "
			   "second writer away",
			   path, strerror(-error));
	else if (fstat(fd, &status) == 0)
		say_locked(doctor, path,
			   holder ? holder : find_holder(&status));
}

static void look_at_alignment(struct doctor *doctor, const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	struct statx status = { 0 };

	if (fd < 0) {
		doctor_say(doctor, DOCTOR_WARNING, SUBJECT,
			   "%s: its file system has no O_DIRECT; serve it "
			   "through the page cache",
			   path);
		return;
	}
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN,
		    &status) == 0 &&
	    status.stx_mask & STATX_DIOALIGN && status.stx_dio_offset_align)
		doctor_say(doctor,
			   status.stx_dio_offset_align > BLOCK_BYTES ?
				   DOCTOR_WARNING :
				   DOCTOR_OK,
			   SUBJECT, "%s: O_DIRECT in steps of %u bytes%s", path,
			   status.stx_dio_offset_align,
			   status.stx_dio_offset_align > BLOCK_BYTES ?
				   "; smaller writes are read first, which "
				   "logical-block-size of this size avoids" :
				   "");
	else
		doctor_say(doctor, DOCTOR_OK, SUBJECT,
			   "%s: O_DIRECT works; in which steps this kernel "
			   "does not say",
			   path);
}

/* A file with holes wants blocks that others may have taken until then. */
static void look_at_space(struct doctor *doctor, const char *path, int fd)
{
	struct statvfs space;
	struct stat status;
	uint64_t wanted;
	uint64_t there;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    fstatvfs(fd, &space) < 0)
		return;
	wanted = (uint64_t)status.st_size -
		 MIN((uint64_t)status.st_blocks * BLOCK_BYTES,
		     (uint64_t)status.st_size);
	there = (uint64_t)space.f_bavail * space.f_frsize;
	if (wanted > there)
		doctor_say(doctor, DOCTOR_WARNING, SUBJECT,
			   "%s may grow by %s, and its file system has %s "
			   "left; a guest that fills it gets errors",
			   path, sizes_format(wanted).text,
			   sizes_format(there).text);
}

static void look_at_format(struct doctor *doctor, const char *path, int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	const char *name;

	if (bytes >= 0 && probe_format(fd, (uint64_t)bytes, &name) > 0)
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
			   "%s looks like %s; convert it with qemu-img convert "
			   "-O raw",
			   path, name);
}

void doctor_image(struct doctor *doctor, const char *path)
{
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
	bool writable = fd >= 0;

	if (!writable) {
		int error = errno;

		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
				   "%s cannot be opened: %s", path,
				   strerror(errno));
			return;
		}
		doctor_say(doctor, DOCTOR_WARNING, SUBJECT,
			   "%s cannot be written (%s); serve it read-only",
			   path, strerror(error));
	}
	look_at_lock(doctor, path, fd, writable);
	look_at_format(doctor, path, fd);
	look_at_alignment(doctor, path);
	look_at_space(doctor, path, fd);
}
