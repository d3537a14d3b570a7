/* SPDX-License-Identifier: MIT */
/*
 * transfer - the device's state on its way to the front-end, or from there
 *
 * The state is one block of bytes: it is taken from the device before the
 * first one leaves, and given to the device when the last one has come. In
 * between this room moves as much as the channel takes: a pipe or a stream
 * socket that the front-end has made, or a file in memory, which takes all at
 * once. Whatever the front-end does to it, nothing blocks.
 *
 * Control thread.
 */
#ifndef LIB_TRANSFER_H
#define LIB_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringhost/device.h>

enum rh_transfer_state {
	RH_TRANSFER_NONE, /* in this session */
	RH_TRANSFER_SAVING,
	RH_TRANSFER_LOADING,
	RH_TRANSFER_ENDED, /* result says how */
};

enum rh_transfer_kind {
	RH_TRANSFER_PIPE,
	RH_TRANSFER_SOCKET,
	RH_TRANSFER_FILE,
};

struct rh_transfer {
	enum rh_transfer_state state;
	int result; /* 0 or -errno */
	int fd;	    /* the front-end's, while under way; else -1 */
	enum rh_transfer_kind kind;
	bool watched;	/* the device's to use */
	int relay[2];	/* between a foreign pipe and us; -1: none */
	size_t relayed; /* bytes in it */
	uint8_t *data;
	size_t bytes; /* of the state, as far as it is known */
	size_t done;
	size_t room; /* of data */
};

void rh_transfer_init(struct rh_transfer *transfer);

/* End it with -ECANCELED if it is under way, and forget how it ended. */
void rh_transfer_reset(struct rh_transfer *transfer);

static inline bool rh_transfer_busy(const struct rh_transfer *transfer)
{
	return transfer->state == RH_TRANSFER_SAVING ||
	       transfer->state == RH_TRANSFER_LOADING;
}

/*
 * Begin; with a file a state is saved at once, and one to be loaded has come:
 * then step until it is not busy. fd: taken, also after failure. data: as of state_save(); taken.
 * Returns 0, or -errno: -EINVAL for a file that is no channel.
 */
int rh_transfer_save(struct rh_transfer *transfer, int fd, void *data,
		     size_t bytes);
int rh_transfer_load(struct rh_transfer *transfer, int fd);

/*
 * Go on. Returns true when all of a state to be loaded has come: the caller
 * gives it to the device and calls rh_transfer_end().
 */
bool rh_transfer_step(struct rh_transfer *transfer);
void rh_transfer_end(struct rh_transfer *transfer, int result);

#endif
