/* SPDX-License-Identifier: MIT */
/*
 * handover_text - bytes of any number in what is handed over
 *
 * Their number goes ahead of them. Both wait for the other process, but not
 * for ever. Any thread.
 */
#ifndef SERVER_HANDOVER_TEXT_H
#define SERVER_HANDOVER_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_WAIT_MSEC 10000

/* Return 0 or -errno. */
int handover_put(int fd, const void *bytes, size_t nr_bytes);

/*
 * *ret: to be freed, with a 0 behind the bytes. Returns -EPROTO for more than
 * max_bytes.
 */
int handover_get(int fd, size_t max_bytes, char **ret, size_t *ret_nr_bytes);

/*
 * Names, up to an empty one; take() reads what is behind each, and its error
 * ends that.
 */
int handover_get_each(int fd, size_t max_bytes,
		      int (*take)(void *opaque, const char *name, int fd),
		      void *opaque);

#endif
