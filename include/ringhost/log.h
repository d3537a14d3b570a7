/* SPDX-License-Identifier: MIT */
/*
 * log - where the library's sentences go
 *
 * The library never writes to a file by itself beyond the default hook, which
 * prints warnings and errors to stderr. A line is one sentence without a
 * newline; tag names the object that it is about ("disk0", "disk0/q3").
 * Nothing is logged per request; lines that a peer could cause at will are
 * rate limited.
 *
 * Any thread may log, so a hook must be callable from any thread.
 */
#ifndef RINGHOST_LOG_H
#define RINGHOST_LOG_H

#include <ringhost/version.h>

#ifdef __cplusplus
extern "C" {
#endif

enum rh_log_level {
	RH_LOG_ERROR,	/* something is lost or will not work */
	RH_LOG_WARNING, /* a peer misbehaved, or a promise is weaker */
	RH_LOG_INFO,	/* sessions and state, a few lines each */
	RH_LOG_DEBUG,	/* every message of the protocol */
};

typedef void (*rh_log_fn)(void *opaque, enum rh_log_level level,
			  const char *tag, const char *line);

/*
 * Send lines of level and above in importance to fn, for the whole process.
 *
 * fn: NULL restores the default hook. opaque: handed to fn.
 * Thread: call it before the first device is created. Since 0.1.
 */
RH_API void rh_log_set(rh_log_fn fn, void *opaque, enum rh_log_level level);

#ifdef __cplusplus
}
#endif

#endif
