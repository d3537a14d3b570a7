/* SPDX-License-Identifier: MIT */
/*
 * handover - a session goes on in another process, and its driver never knows
 *
 * A new version of a program takes the place of the running one: the same
 * connection, guest memory and rings, without a message to the front-end, which
 * need not be able to reconnect. Between the two there is a connected AF_UNIX
 * stream socket, and whoever is at its ends has the same user, or is root.
 *
 * The one that hands over, for each of its devices:
 *
 *	rh_device_pause(), and wait until paused() was called
 *	rh_device_hand_over()
 *	... until the other one says that it has all, then rh_device_let_go(),
 *	or, if it does not, rh_device_resume()
 *	... tell the other one
 *
 * and the one that takes over:
 *
 *	rh_device_create(), of the same features and sizes, or larger ones
 *	rh_device_take_over()
 *	... say so, and wait to be told that the other one has let go, then
 *	rh_device_resume(), or, if it does not, rh_device_let_go()
 *
 * So at each moment one of them can go on. In between, whatever is run, neither
 * reads or writes what both have: the connection, its channel, the listening
 * socket. To stop a device then would end the session for both. What the two
 * say to each other besides is the programs' own.
 *
 * What a device has on its own goes along if state_save() says it. A lookup of
 * a shared object ends with -ECONNRESET where it began, when that lets go.
 *
 * Both devices have RH_DEVICE_HAND_OVER. Thread: that of the device.
 */
#ifndef RINGHOST_HANDOVER_H
#define RINGHOST_HANDOVER_H

#include <ringhost/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * For struct rh_device_config's flags: sessions may be handed over. Each region
 * of guest memory, and each other file that is mapped, costs a file descriptor.
 */
#define RH_DEVICE_HAND_OVER (1u << 1)

/*
 * Write all that the session consists of to fd: messages with file descriptors,
 * up to one that ends it. The listening socket goes along; without a session
 * that is all. The device stays as it is, and may be handed over once more.
 *
 * Waits for the reader, but never 10 s without progress. Returns 0, or -errno
 * with nothing changed: -EBUSY when the device is not paused, or in the middle
 * of a migration, whose end the program waits for; -EOPNOTSUPP when a file was
 * not kept; -ETIMEDOUT; else what writing or state_save() failed with.
 * Since 0.1.
 */
RH_API int rh_device_hand_over(struct rh_device *device, int fd);

/*
 * Read what rh_device_hand_over() wrote, exactly, and make it this device's
 * socket and session: connected(), features_set(), state_load() are called as
 * if the front-end had come new. The device is paused then: no queue is
 * started, no message read, nobody accepted, before rh_device_resume().
 *
 * Waits as above. Returns 0, or -errno (logged) with the device as it was, and
 * disconnected() called if connected() had been: -EBUSY when the device has a
 * socket, -EPROTONOSUPPORT for a writer of another version, -EPROTO for what
 * cannot be, or what this device does not offer. Since 0.1.
 */
RH_API int rh_device_take_over(struct rh_device *device, int fd);

/*
 * Forget the session, and the listening socket, without an end for the
 * front-end: it goes on elsewhere. disconnected() is not called. The device is
 * paused before, and finished afterwards. Since 0.1.
 */
RH_API void rh_device_let_go(struct rh_device *device);

#ifdef __cplusplus
}
#endif

#endif
