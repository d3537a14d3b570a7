/* SPDX-License-Identifier: MIT */
/*
 * http - GET /metrics on a socket that listens
 *
 * libmicrohttpd does the protocol, on an epoll set of its own that the loop
 * waits for. What it wants to do later, such as closing what does nothing, it
 * names a time for; a timer stands for that. When it wants to go on at once
 * the timer is due at once, so that others in the loop have their turn.
 */
#include "server/metrics/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/nsec.h"

/* Of a request with its headers, for each connection. */
#define CONNECTION_BYTES 8192

#define CONTENT_TYPE	 "text/plain; version=0.0.4; charset=utf-8"

struct http {
	struct loop *loop;
	struct http_source source;
	struct MHD_Daemon *mhd;
	struct loop_watch sockets; /* libmicrohttpd's epoll set */
	struct loop_watch timer;
	int timer_fd;
	struct MHD_Response *text; /* the last one, or NULL */
	uint64_t text_nsec;	   /* when it was made */
};

static enum MHD_Result refuse(struct MHD_Connection *connection,
			      unsigned int status, const char *why)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(why), (void *)(uintptr_t)why, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static bool is_new_enough(const struct http *http)
{
	return http->text &&
	       nsec_now() - http->text_nsec < HTTP_REUSE_MSEC * NSEC_PER_MSEC;
}

/* Connections that still send the last one hold it themselves. */
static int make_text(struct http *http)
{
	size_t nr_bytes = 0;
	char *text = NULL;
	int error = http->source.write(http->source.opaque, &text, &nr_bytes);

	if (error)
		return error;
	if (http->text)
		MHD_destroy_response(http->text);
	http->text = MHD_create_response_from_buffer(nr_bytes, text,
						     MHD_RESPMEM_MUST_FREE);
	if (!http->text) {
		free(text);
		return -ENOMEM;
	}
	MHD_add_response_header(http->text, MHD_HTTP_HEADER_CONTENT_TYPE,
				CONTENT_TYPE);
	http->text_nsec = nsec_now();
	return 0;
}

/*
 * Called when the headers of a request are there, for each part of its body,
 * and at its end. A body is no part of what is asked here: the connection ends.
 */
static enum MHD_Result answer(void *opaque, struct MHD_Connection *connection,
			      const char *url, const char *method,
			      const char *version, const char *body,
			      size_t *nr_body_bytes, void **state)
{
	struct http *http = opaque;

	(void)version;
	(void)body;
	if (*nr_body_bytes)
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			      "only GET is answered here\n");
	if (!*state) {
		*state = http;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return refuse(connection, MHD_HTTP_NOT_FOUND, "see /metrics\n");
	if (!is_new_enough(http) && make_text(http) < 0)
		return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, http->text);
}

static void set_timer(struct http *http)
{
	struct itimerspec spec = { 0 };
	MHD_UNSIGNED_LONG_LONG msec;

	if (MHD_get_timeout(http->mhd, &msec) == MHD_YES) {
		spec.it_value.tv_sec = (time_t)(msec / 1000);
		spec.it_value.tv_nsec = (long)(msec % 1000) * 1000000 + 1;
	}
	timerfd_settime(http->timer_fd, 0, &spec, NULL);
}

/*
 * Twice: when there were as many connections as there may be, the end of one
 * is noted by the first call, and only the next one looks for those who wait.
 */
static void run(struct http *http)
{
	MHD_run(http->mhd);
	MHD_run(http->mhd);
	set_timer(http);
}

static void sockets_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	run(container_of(watch, struct http, sockets));
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct http *http = container_of(watch, struct http, timer);
	uint64_t nr_expired;

	(void)events;
	if (read(http->timer_fd, &nr_expired, sizeof(nr_expired)) > 0)
		run(http);
}

static int start(struct http *http, int fd)
{
	const union MHD_DaemonInfo *info;
	int error;

	http->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (http->timer_fd < 0)
		return -errno;
	error = loop_add(http->loop, &http->timer, http->timer_fd, EPOLLIN);
	if (error)
		return error;
	http->mhd = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, http,
				     MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned int)HTTP_MAX_CONNECTIONS,
				     MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned int)HTTP_TIMEOUT_SECONDS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (!http->mhd)
		return -EIO;
	info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	return loop_add(http->loop, &http->sockets, info->epoll_fd, EPOLLIN);
}

int http_create(struct loop *loop, int fd, const struct http_source *source,
		struct http **ret)
{
	struct http *http = calloc(1, sizeof(*http));
	int error;

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->source = *source;
	http->timer_fd = -1;
	http->sockets = (struct loop_watch){ .fd = -1, .ready = sockets_ready };
	http->timer = (struct loop_watch){ .fd = -1, .ready = timer_ready };
	error = start(http, fd);
	if (!error) {
		*ret = http;
		return 0;
	}
	if (http->mhd)
		MHD_quiesce_daemon(http->mhd); /* fd is the caller's again */
	http_destroy(http);
	return error;
}

void http_destroy(struct http *http)
{
	if (!http)
		return;
	loop_remove(http->loop, &http->sockets);
	loop_remove(http->loop, &http->timer);
	if (http->mhd)
		MHD_stop_daemon(http->mhd);
	if (http->text)
		MHD_destroy_response(http->text);
	rh_fd_close(&http->timer_fd);
	free(http);
}
