/* SPDX-License-Identifier: MIT */
/* http_none - where libmicrohttpd is missing: nothing listens */
#include <errno.h>

#include "server/metrics/http.h"

int http_create(struct loop *loop, int fd, const struct http_source *source,
		struct http **ret)
{
	(void)loop;
	(void)fd;
	(void)source;
	(void)ret;
	return -ENOSYS;
}

void http_destroy(struct http *http)
{
	(void)http;
}
