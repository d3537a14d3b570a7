/* SPDX-License-Identifier: MIT */
/*
 * http - GET /metrics on a socket that listens
 *
 * In the control thread, without one of its own. Who connects is not trusted:
 * there are few connections at a time, one that does nothing for a while is
 * closed, requests are bounded, and the text is made at most a few times a
 * second however often it is asked for.
 *
 * http_none.c stands for it in a build without libmicrohttpd.
 *
 * Owner: the caller. Control thread.
 */
#ifndef SERVER_METRICS_HTTP_H
#define SERVER_METRICS_HTTP_H

#include <stddef.h>

#include "server/loop.h"

#define HTTP_MAX_CONNECTIONS 8
#define HTTP_TIMEOUT_SECONDS 3
#define HTTP_REUSE_MSEC	     200 /* how long a text is new enough */

struct http;

/* Whoever has something to tell. */
struct http_source {
	/* Returns 0 with *text, which is handed over, or -errno. */
	int (*write)(void *opaque, char **text, size_t *nr_bytes);
	void *opaque;
};

/*
 * fd: listens, does not block; taken on success. Returns 0 with *ret set,
 * -ENOSYS in a build that cannot, or another -errno.
 */
int http_create(struct loop *loop, int fd, const struct http_source *source,
		struct http **ret);

/* Ends all connections. NULL is accepted. */
void http_destroy(struct http *http);

#endif
