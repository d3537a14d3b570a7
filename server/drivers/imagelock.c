/* SPDX-License-Identifier: MIT */
/*
 * imagelock - who uses an image, told to other processes in QEMU's way
 *
 * Each thing that one can do with an image has a number n. A read lock on
 * byte 100 + n says "I do n", one on byte 200 + n says "I do not let others
 * do n". Since all are read locks they never exclude each other by
 * themselves; whoever comes sets his own first, and then asks whether a write
 * lock on the opposite bytes would be refused, that is, whether somebody else
 * has set them. Setting before asking means that of two who come at the same
 * moment at least one sees the other.
 *
 * A reader here lets nobody write or resize; a writer lets others do nothing
 * but read, and asks for all that QEMU counts as changing an image.
 */
#include <errno.h>
#include <fcntl.h>

#include "common/base.h"
#include "server/drivers/imagelock.h"

#define DOES_BASE   100
#define DENIES_BASE 200

enum act {
	ACT_READ_CONSISTENTLY,
	ACT_WRITE,
	ACT_WRITE_UNCHANGED, /* the same data, as copying up does */
	ACT_RESIZE,
	NR_ACTS,
};

#define BIT(act) (1u << (act))

struct claim {
	unsigned int does;
	unsigned int denies;
};

static const struct claim reader = {
	.does = BIT(ACT_READ_CONSISTENTLY),
	.denies = BIT(ACT_WRITE) | BIT(ACT_RESIZE),
};

static const struct claim writer = {
	.does = BIT(ACT_READ_CONSISTENTLY) | BIT(ACT_WRITE),
	.denies = BIT(ACT_WRITE) | BIT(ACT_RESIZE),
};

static int lock_byte(int fd, off_t byte, short type)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};
	int error;

	do {
		error = fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
	} while (error == -EINTR);
	return error == -EACCES ? -EAGAIN : error;
}

/* Has somebody else set the byte? */
static int ask_byte(int fd, off_t byte, pid_t *holder)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK)
		return 0;
	/* An open file description has no process to name. */
	*holder = lock.l_pid > 0 ? lock.l_pid : 0;
	return -EAGAIN;
}

static int ask_all(int fd, const struct claim *claim, pid_t *holder)
{
	for (int act = 0; act < NR_ACTS; act++) {
		int error = 0;

		if (claim->does & BIT(act))
			error = ask_byte(fd, DENIES_BASE + act, holder);
		if (!error && claim->denies & BIT(act))
			error = ask_byte(fd, DOES_BASE + act, holder);
		if (error)
			return error;
	}
	return 0;
}

static int set_all(int fd, const struct claim *claim)
{
	for (int act = 0; act < NR_ACTS; act++) {
		int error = 0;

		if (claim->does & BIT(act))
			error = lock_byte(fd, DOES_BASE + act, F_RDLCK);
		if (!error && claim->denies & BIT(act))
			error = lock_byte(fd, DENIES_BASE + act, F_RDLCK);
		if (error)
			return error;
	}
	return 0;
}

int imagelock_check(int fd, bool for_writing, pid_t *holder)
{
	return ask_all(fd, for_writing ? &writer : &reader, holder);
}

int imagelock_claim(int fd, bool for_writing, pid_t *holder)
{
	const struct claim *claim = for_writing ? &writer : &reader;
	int error;

	*holder = 0;
	error = set_all(fd, claim);
	if (!error)
		error = ask_all(fd, claim, holder);
	if (error)
		imagelock_release(fd);
	return error;
}

void imagelock_release(int fd)
{
	for (int act = 0; act < NR_ACTS; act++) {
		lock_byte(fd, DOES_BASE + act, F_UNLCK);
		lock_byte(fd, DENIES_BASE + act, F_UNLCK);
	}
}
