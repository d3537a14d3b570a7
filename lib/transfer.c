/* SPDX-License-Identifier: MIT */
/*
 * transfer - the device's state on its way to the front-end, or from there
 *
 * The front-end may hold a duplicate of the file, and clear its O_NONBLOCK at
 * any moment. A socket has a flag for each call instead. A pipe has one for
 * splice(2) only, which moves bytes between two pipes: so they take the way
 * through a pipe of our own. Files may be on slow or hostile file systems, but
 * for those that can be sealed: they are in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/socket.h"
#include "lib/transfer.h"

#define CHUNK_BYTES   65536u
#define CHUNKS_A_STEP 16

void rh_transfer_init(struct rh_transfer *transfer)
{
	memset(transfer, 0, sizeof(*transfer));
	transfer->fd = -1;
	transfer->relay[0] = -1;
	transfer->relay[1] = -1;
}

void rh_transfer_end(struct rh_transfer *transfer, int result)
{
	bool watched = transfer->watched;

	rh_peerfd_close(&transfer->fd);
	rh_fd_close(&transfer->relay[0]);
	rh_fd_close(&transfer->relay[1]);
	free(transfer->data);
	rh_transfer_init(transfer);
	transfer->watched = watched;
	transfer->state = RH_TRANSFER_ENDED;
	transfer->result = result;
}

void rh_transfer_reset(struct rh_transfer *transfer)
{
	rh_transfer_end(transfer, -ECANCELED);
	transfer->state = RH_TRANSFER_NONE;
}

static int begin(struct rh_transfer *transfer, int fd)
{
	struct stat file;

	rh_transfer_end(transfer, 0);
	transfer->fd = fd;
	if (fstat(fd, &file) < 0)
		return -errno;
	transfer->kind = S_ISSOCK(file.st_mode) ? RH_TRANSFER_SOCKET :
			 S_ISFIFO(file.st_mode) ? RH_TRANSFER_PIPE :
						  RH_TRANSFER_FILE;
	if (transfer->kind == RH_TRANSFER_FILE)
		return fcntl(fd, F_GET_SEALS) < 0 ? -EINVAL : 0;
	if (transfer->kind == RH_TRANSFER_SOCKET)
		return 0;
	return pipe2(transfer->relay, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

int rh_transfer_save(struct rh_transfer *transfer, int fd, void *data,
		     size_t bytes)
{
	int error = begin(transfer, fd);

	transfer->data = data;
	transfer->bytes = bytes;
	transfer->state = RH_TRANSFER_SAVING;
	if (error)
		rh_transfer_end(transfer, error);
	do {
		rh_transfer_step(transfer);
	} while (rh_transfer_busy(transfer) &&
		 transfer->kind == RH_TRANSFER_FILE);
	return error;
}

int rh_transfer_load(struct rh_transfer *transfer, int fd)
{
	int error = begin(transfer, fd);

	transfer->state = RH_TRANSFER_LOADING;
	if (error)
		rh_transfer_end(transfer, error);
	return error;
}

/* splice(2) to a pipe that nobody reads raises a signal, which is eaten. */
static ssize_t splice_quietly(int from, int to, size_t bytes)
{
	const struct timespec now = { 0 };
	sigset_t pending;
	sigset_t before;
	sigset_t set;
	ssize_t done;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, &set, &before);
	done = splice(from, NULL, to, NULL, bytes, SPLICE_F_NONBLOCK);
	if (done < 0)
		done = -errno;
	if (done == -EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&set, NULL, &now);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return done;
}

static ssize_t result_of(ssize_t done)
{
	return done < 0 ? -errno : done;
}

/* Both move some bytes of data: above 0, or -errno; 0 is the end of input. */
static ssize_t put_some(struct rh_transfer *transfer)
{
	const uint8_t *data = transfer->data + transfer->done;
	size_t bytes = MIN(transfer->bytes - transfer->done, CHUNK_BYTES);
	ssize_t done;

	if (transfer->kind == RH_TRANSFER_SOCKET)
		return rh_socket_put(transfer->fd, data, bytes);
	if (transfer->kind == RH_TRANSFER_FILE)
		return result_of(write(transfer->fd, data, bytes));
	if (!transfer->relayed) {
		done = result_of(write(transfer->relay[1], data, bytes));
		if (done < 0)
			return done;
		transfer->relayed = (size_t)done;
	}
	done = splice_quietly(transfer->relay[0], transfer->fd,
			      transfer->relayed);
	if (done > 0)
		transfer->relayed -= (size_t)done;
	return done;
}

static ssize_t get_some(struct rh_transfer *transfer)
{
	uint8_t *data = transfer->data + transfer->done;
	ssize_t done;

	if (transfer->kind == RH_TRANSFER_SOCKET)
		return rh_socket_get(transfer->fd, data, CHUNK_BYTES);
	if (transfer->kind == RH_TRANSFER_FILE)
		return result_of(read(transfer->fd, data, CHUNK_BYTES));
	done = splice_quietly(transfer->fd, transfer->relay[1], CHUNK_BYTES);
	if (done <= 0)
		return done;
	return read(transfer->relay[0], data, (size_t)done) == done ? done :
								      -EIO;
}

/* Room for one more chunk. */
static int make_room(struct rh_transfer *transfer)
{
	size_t room = transfer->room ? transfer->room * 2 : CHUNK_BYTES;
	uint8_t *data;

	if (transfer->room - transfer->done >= CHUNK_BYTES)
		return 0;
	room = MAX(room, transfer->done + CHUNK_BYTES);
	data = realloc(transfer->data, room);
	if (!data)
		return -ENOMEM;
	transfer->data = data;
	transfer->room = room;
	return 0;
}

static bool load_some(struct rh_transfer *transfer)
{
	ssize_t done = make_room(transfer);

	if (!done)
		done = get_some(transfer);
	if (done > 0) {
		transfer->done += (size_t)done;
		transfer->bytes = transfer->done;
		if (transfer->done > RH_MAX_STATE_BYTES)
			rh_transfer_end(transfer, -EFBIG);
	} else if (done < 0 && done != -EAGAIN && done != -EINTR) {
		rh_transfer_end(transfer, (int)done);
	}
	return done == 0;
}

static void save_some(struct rh_transfer *transfer)
{
	ssize_t done = 0;

	if (transfer->done < transfer->bytes)
		done = put_some(transfer);
	if (done > 0)
		transfer->done += (size_t)done;
	if (done < 0 && done != -EAGAIN && done != -EINTR)
		rh_transfer_end(transfer, (int)done);
	else if (transfer->done == transfer->bytes)
		rh_transfer_end(transfer, 0);
}

bool rh_transfer_step(struct rh_transfer *transfer)
{
	for (int i = 0; i < CHUNKS_A_STEP && rh_transfer_busy(transfer); i++) {
		size_t before = transfer->done;

		if (transfer->state == RH_TRANSFER_SAVING)
			save_some(transfer);
		else if (load_some(transfer))
			return true;
		if (transfer->done == before)
			break;
	}
	return false;
}
