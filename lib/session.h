/* SPDX-License-Identifier: MIT */
/*
 * session - one front-end from its connection to its end, message by message
 *
 * Control thread. rh_session_close() only notes that the session is to end;
 * rh_session_end() takes it down when no queue runs any more.
 */
#ifndef LIB_SESSION_H
#define LIB_SESSION_H

#include "lib/device.h"

/* fd: taken; non-blocking. */
void rh_session_begin(struct rh_device *device, int fd);

/*
 * Read on, and begin with the message when it is whole: it is done, or the
 * state is RH_DEVICE_QUIESCING. Returns false when there is no more to read.
 */
bool rh_session_receive(struct rh_device *device);

/* The message that is whole asks how a transfer of state ended that goes on. */
bool rh_session_awaits_transfer(const struct rh_device *device);

/* From now on the front-end has so long to send the rest of a message. */
void rh_session_arm_timeout(struct rh_device *device);

/* The queues that the message waited for are quiet. */
void rh_session_finish_message(struct rh_device *device);

/* Send on what the front-end did not read before. */
void rh_session_send(struct rh_device *device);

/* Ask all queues back, to end the session; error: 0 or -errno, for the user. */
void rh_session_close(struct rh_device *device, int error);

/* No queue runs. */
void rh_session_end(struct rh_device *device);

#endif
