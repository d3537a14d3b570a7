/* SPDX-License-Identifier: MIT */
/*
 * device - the connection's state, and the turn that moves it on
 *
 * A session is read message by message. A message that needs quiet queues
 * asks for them back and waits, and so does the end of a session, a pause and
 * a stop: one mechanism, advanced in one place (settle() in device.c), for
 * each change that must not happen under a running queue.
 *
 * Owner: the thread that runs the device, one at a time. busy catches a
 * second one, which is a bug of the program.
 */
#ifndef LIB_DEVICE_H
#define LIB_DEVICE_H

#include <stdatomic.h>

#include <ringhost/device.h>

#include "lib/handlers.h"
#include "lib/socket.h"

enum rh_device_state {
	RH_DEVICE_IDLE,	     /* no session */
	RH_DEVICE_READING,   /* a session; the next message is being read */
	RH_DEVICE_QUIESCING, /* incoming is whole and waits for queues */
	RH_DEVICE_CLOSING,   /* the session ends when all queues have stopped */
};

enum rh_pause_state {
	RH_PAUSE_OFF,
	RH_PAUSE_WAITING, /* for the last queue to stop */
	RH_PAUSE_ON,
};

/* See inband.h. */
enum rh_inband_kind {
	RH_INBAND_CALL,
	RH_INBAND_ERR,
	RH_INBAND_NR_KINDS
};

struct rh_inband {
	int fds[RH_INBAND_NR_KINDS]; /* -1: none */
};

struct rh_device {
	/* Fixed */
	struct rh_device_config config; /* its name is the next member */
	char tag[RH_TAG_BYTES];
	int epoll_fd; /* what the user waits on */
	int wake_fd;  /* an owner gave a queue back */
	int timer_fd; /* a message stalls, or accept(2) had to back off */

	enum rh_device_state state;
	enum rh_pause_state pause;
	/*
	 * Somebody else has the session, too, and may go on with it: nothing
	 * is read or sent. Paused.
	 */
	bool is_held;
	int listen_fd;	 /* -1: none, or no more */
	int connection;	 /* -1 without a session */
	int close_error; /* why the session ends; 0 or -errno */
	int listen_error;
	bool timer_armed;
	uint32_t watched_connection; /* epoll events; 0: not in the set */
	bool watched_listener;
	bool watched_channel;
	struct rh_incoming incoming;
	struct rh_outgoing outgoing;
	struct rh_session_state session;
	struct log_limit limit;
	struct log_limit session_limit; /* of begins and ends */

	struct rh_queue *queues;  /* config.nr_queues of them */
	struct rh_inband *inband; /* as many */
	unsigned int nr_inband_fds;
	_Atomic(void *) busy;		 /* names the thread that is inside */
	unsigned int depth;		 /* of its calls, which may nest */
	unsigned int handover_wait_msec; /* for the other end, at most */
};

/*
 * Around whatever somebody from outside does to a device. Calls nest when an
 * operation of the device calls into it again; the outermost one does all that
 * the state allows then, in its next run if it is past that already. Two
 * threads at once are a bug of the program.
 */
void rh_device_enter(struct rh_device *device);
void rh_device_leave(struct rh_device *device);

/* Begin to leave what this session shares with another device, or end. */
void rh_device_hold(struct rh_device *device, bool is_held);

#endif
