/* SPDX-License-Identifier: MIT */
/*
 * daemon_metrics - where the daemon's metrics are read
 *
 * --metrics unix:PATH or a loopback address with a port. What is told is no
 * secret to who may log in here, and nobody else is to see it: an address of
 * another interface is refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ringhost/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/nsec.h"
#include "server/daemon_internal.h"
#include "server/metrics/http.h"
#include "server/metrics/report.h"
#include "server/metrics/self.h"

#define TAG	    "ringhost"
#define SOCKET_MODE 0660
#define BACKLOG	    8

/* A socket on which they are read. */
struct daemon_metrics {
	struct list_node link;
	struct http *http;
	struct socket_file socket_file;
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void collect_export(struct daemon *daemon,
			   const struct published *published,
			   struct report_export *report)
{
	const struct export *export = published->export;

	report->id = published->id;
	report->node = published->node->name;
	report->connected = export_peer(export) != -1;
	report->nr_sessions_ended = export_nr_sessions_ended(export);
	report->size_bytes = published->node->driver->info.size_bytes;
	report->nr_queues = export_nr_queues(export);
	for (unsigned int i = 0; i < report->nr_queues; i++) {
		const struct iothread *iothread = iothreads_of(
			&daemon->iothreads, export_queue_worker(export, i));

		report->queues[i].iothread = iothread ? iothread->name : NULL;
		report_add_queue(report, &report->queues[i],
				 export_stats(export, i));
	}
}

static void free_exports(struct report_export *exports, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		free(exports[i].queues);
	free(exports);
}

/* Returns 0 with *ret, or -ENOMEM. */
static int collect(struct daemon *daemon, struct report_export **ret,
		   unsigned int *ret_nr)
{
	struct report_export *exports;
	unsigned int nr = 0;

	list_for_each(link, &daemon->exports.list)
		nr++;
	exports = calloc(nr + 1, sizeof(*exports));
	if (!exports)
		return -ENOMEM;
	nr = 0;
	list_for_each(link, &daemon->exports.list) {
		const struct published *published = published_of(link);

		exports[nr].queues = calloc(export_nr_queues(published->export),
					    sizeof(*exports[nr].queues));
		if (!exports[nr].queues) {
			free_exports(exports, nr);
			return -ENOMEM;
		}
		collect_export(daemon, published, &exports[nr++]);
	}
	*ret = exports;
	*ret_nr = nr;
	return 0;
}

static int write_report(void *opaque, char **text, size_t *nr_bytes)
{
	struct daemon *daemon = opaque;
	struct report_process process;
	struct report_export *exports;
	unsigned int nr;
	int error = collect(daemon, &exports, &nr);

	if (error)
		return error;
	self_learn(&process);
	error = report_write(exports, nr, &process, text, nr_bytes);
	free_exports(exports, nr);
	return error;
}

static bool is_loopback(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* "127.0.0.1:9187", "[::1]:9187". Returns 0 or -EINVAL. */
static int parse_address(const char *text, union address *address)
{
	const char *colon = strrchr(text, ':');
	size_t nr = colon ? (size_t)(colon - text) : 0;
	char host[INET6_ADDRSTRLEN + 2];
	char *end;
	unsigned long port;

	if (!nr || nr >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(host, text, nr);
	host[nr] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > UINT16_MAX)
		return -EINVAL;
	memset(address, 0, sizeof(*address));
	if (host[0] == '[' && host[nr - 1] == ']') {
		host[nr - 1] = '\0';
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) ==
				       1 ?
			       0 :
			       -EINVAL;
	}
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1 ? 0 :
								      -EINVAL;
}

static socklen_t bytes_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) :
						   sizeof(address->v6);
}

/* With port 0 the host chooses one, which the log tells. */
static void tell_port(int fd)
{
	union address address = { .any.sa_family = AF_INET };
	socklen_t nr_bytes = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "";
	bool v4;

	if (getsockname(fd, &address.any, &nr_bytes) < 0)
		return;
	v4 = address.any.sa_family == AF_INET;
	inet_ntop(address.any.sa_family,
		  v4 ? (void *)&address.v4.sin_addr :
		       (void *)&address.v6.sin6_addr,
		  host, sizeof(host));
	rh_log(RH_LOG_INFO, TAG, "metrics are at http://%s%s%s:%u/metrics",
	       v4 ? "" : "[", host, v4 ? "" : "]",
	       ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port));
}

static int listen_on_address(const union address *address, int *ret)
{
	int on = 1;
	cleanup_close int fd =
		socket(address->any.sa_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &address->any, bytes_of(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	tell_port(fd);
	*ret = steal_fd(&fd);
	return 0;
}

static int refuse(const char *where, const char *why)
{
	rh_log(RH_LOG_ERROR, TAG, "--metrics %s: %s", where, why);
	return -EINVAL;
}

static int open_socket(struct daemon_metrics *metrics, const char *where,
		       int *ret)
{
	union address address;
	int error;

	if (!strncmp(where, "unix:", 5)) {
		error = rh_socket_listen(where + 5, SOCKET_MODE, (gid_t)-1,
					 ret);
		if (!error)
			error = socket_file_hold(&metrics->socket_file,
						 where + 5);
	} else if (parse_address(where, &address) < 0) {
		return refuse(where, "it takes unix:PATH, 127.0.0.1:PORT or "
				     "[::1]:PORT");
	} else if (!is_loopback(&address)) {
		return refuse(where, "only a loopback address is listened on: "
				     "give 127.0.0.1 or [::1], and have a "
				     "proxy in front of it for others");
	} else {
		error = listen_on_address(&address, ret);
	}
	if (error)
		refuse(where, strerror(-error));
	return error;
}

static void destroy(struct daemon_metrics *metrics)
{
	list_remove(&metrics->link);
	http_destroy(metrics->http);
	socket_file_remove(&metrics->socket_file);
	free(metrics);
}

void daemon_remove_metrics(struct daemon *daemon)
{
	list_for_each(link, &daemon->metrics)
		destroy(container_of(link, struct daemon_metrics, link));
}

static int serve(struct daemon *daemon, struct daemon_metrics *metrics,
		 const char *where)
{
	const struct http_source source = { .write = write_report,
					    .opaque = daemon };
	cleanup_close int fd = -1;
	int error = open_socket(metrics, where, &fd);

	if (error)
		return error;
	self_begin();
	error = http_create(&daemon->loop, fd, &source, &metrics->http);
	if (!error)
		steal_fd(&fd);
	else if (error == -ENOSYS)
		refuse(where, "this program was built without libmicrohttpd");
	else
		refuse(where, strerror(-error));
	return error;
}

int daemon_add_metrics(struct daemon *daemon, const char *where)
{
	struct daemon_metrics *metrics = calloc(1, sizeof(*metrics));
	int error;

	if (!metrics)
		return refuse(where, "out of memory");
	list_init(&metrics->link);
	socket_file_init(&metrics->socket_file);
	error = serve(daemon, metrics, where);
	if (error)
		destroy(metrics);
	else
		list_append(&daemon->metrics, &metrics->link);
	return error;
}
