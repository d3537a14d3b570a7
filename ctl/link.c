/* SPDX-License-Identifier: MIT */
/*
 * link - a client of the daemon's control socket
 *
 * The parser takes its bytes one by one, so that it never takes one of the
 * next message.
 */
#include "ctl/link.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/nsec.h"
#include "ctl/text.h"

#define TAG	"ringhost"
#define FOREVER (-1)

static const char too_late[] = "it does not answer; --timeout says how long "
			       "to wait";
static const char gone[] = "it has closed the connection; its log says why";
static const char too_long[] = "its answer is longer than any that ringhost "
			       "sends";

static unsigned long long now_msec(void)
{
	return nsec_now() / NSEC_PER_MSEC;
}

static int rest_msec(const struct link *link)
{
	unsigned long long now = now_msec();

	if (link->timeout_msec < 0)
		return FOREVER;
	return now < link->deadline_msec ? (int)(link->deadline_msec - now) : 0;
}

/* More bytes. Returns 0, or -errno with link->fault set. */
static int refill(struct link *link, int timeout_msec)
{
	struct pollfd ready = { .fd = link->fd, .events = POLLIN };
	ssize_t nr;
	int result;

	do {
		result = poll(&ready, 1, timeout_msec);
	} while (result < 0 && errno == EINTR);
	link->fault = too_late;
	if (result == 0)
		return -ETIMEDOUT;
	do {
		nr = read(link->fd, link->buffer, sizeof(link->buffer));
	} while (nr < 0 && errno == EINTR);
	link->fault = gone;
	if (nr <= 0)
		return nr < 0 ? -errno : -ECONNRESET;
	link->fault = NULL;
	link->start = 0;
	link->end = (size_t)nr;
	return 0;
}

/* json_load_callback_t: the next byte of the message */
static size_t feed(void *buffer, size_t nr_bytes, void *opaque)
{
	struct link *link = opaque;

	(void)nr_bytes; /* 1 or more */
	if (++link->nr_message_bytes > LINK_MAX_MESSAGE_BYTES) {
		link->fault = too_long;
		return 0;
	}
	if (link->start == link->end && refill(link, rest_msec(link)) < 0)
		return 0;
	*(char *)buffer = link->buffer[link->start++];
	return 1;
}

static void begin_to_wait(struct link *link)
{
	if (link->timeout_msec >= 0)
		link->deadline_msec =
			now_msec() + (unsigned long long)link->timeout_msec;
}

/* Until a message begins. Returns 0 or -errno. */
static int skip_space(struct link *link, int timeout_msec)
{
	for (;;) {
		if (link->start == link->end) {
			int error = refill(link, timeout_msec);

			if (error)
				return error;
		}
		if (!isspace((unsigned char)link->buffer[link->start]))
			return 0;
		link->start++;
	}
}

/* timeout_msec: until it begins. Returns NULL if none comes (logged). */
static json_t *receive(struct link *link, int timeout_msec)
{
	json_error_t why;
	json_t *message = NULL;

	link->nr_message_bytes = 0;
	if (skip_space(link, timeout_msec) == 0) {
		if (timeout_msec == FOREVER)
			begin_to_wait(link);
		message = json_load_callback(feed, link, JSON_DISABLE_EOF_CHECK,
					     &why);
	}
	if (json_is_object(message))
		return message;
	json_decref(message);
	rh_log(RH_LOG_ERROR, TAG, "%s: %s", link->path,
	       link->fault ? link->fault :
			     "what listens there does not speak QMP; is it "
			     "the control socket of ringhost daemon?");
	return NULL;
}

static int send_object(struct link *link, const json_t *object)
{
	cleanup_free char *text = json_dumps(object, JSON_COMPACT);
	size_t nr_bytes = text ? strlen(text) : 0;
	size_t sent = 0;

	if (!text)
		return -ENOMEM;
	text[nr_bytes++] = '\n'; /* in the place of its end */
	while (sent < nr_bytes) {
		ssize_t nr = send(link->fd, text + sent, nr_bytes - sent,
				  MSG_NOSIGNAL);

		if (nr < 0 && errno != EINTR) {
			rh_log(RH_LOG_ERROR, TAG, "%s: %s", link->path, gone);
			return -EPIPE;
		}
		sent += nr < 0 ? 0 : (size_t)nr;
	}
	return 0;
}

static void keep_event(struct link *link, json_t *event)
{
	if (json_array_size(link->events) >= LINK_MAX_EVENTS)
		json_array_remove(link->events, 0);
	json_array_append_new(link->events, event);
}

static json_t *receive_answer(struct link *link, const json_t *id)
{
	json_t *message;

	begin_to_wait(link);
	while ((message = receive(link, rest_msec(link)))) {
		if (json_is_string(json_object_get(message, "event"))) {
			keep_event(link, message);
			continue;
		}
		if (json_equal(json_object_get(message, "id"), id))
			return message;
		json_decref(message); /* of an earlier one, given up on */
	}
	return NULL;
}

json_t *link_ask_raw(struct link *link, json_t *object)
{
	json_t *id = json_integer(++link->nr_commands);
	json_t *answer = NULL;

	if (!json_object_get(object, "id"))
		json_object_set(object, "id", id);
	json_decref(id);
	id = json_incref(json_object_get(object, "id"));
	if (send_object(link, object) == 0)
		answer = receive_answer(link, id);
	json_decref(id);
	return answer;
}

static bool is_unknown(const json_t *error)
{
	const char *class = json_string_value(json_object_get(error, "class"));

	return class && !strcmp(class, "CommandNotFound");
}

static json_t *ask(struct link *link, const char *command, json_t *arguments,
		   bool known)
{
	json_t *object = json_pack("{s:s}", "execute", command);
	json_t *answer;
	json_t *value;
	json_t *error;

	if (arguments)
		json_object_set_new(object, "arguments", arguments);
	answer = link_ask_raw(link, object);
	json_decref(object);
	if (!answer)
		return NULL;
	value = json_incref(json_object_get(answer, "return"));
	error = json_object_get(answer, "error");
	if (!value && (known || !is_unknown(error)) && !link->quiet) {
		const char *why =
			json_string_value(json_object_get(error, "desc"));
		cleanup_free char *escaped =
			text_escape(why ? why :
					  "it says neither what it "
					  "returns nor what is wrong");

		rh_log(RH_LOG_ERROR, TAG, "%s", escaped ? escaped : "refused");
	}
	json_decref(answer);
	return value;
}

json_t *link_ask(struct link *link, const char *command, json_t *arguments)
{
	return ask(link, command, arguments, true);
}

json_t *link_ask_if_known(struct link *link, const char *command,
			  json_t *arguments)
{
	return ask(link, command, arguments, false);
}

json_t *link_next_event(struct link *link)
{
	json_t *event = json_incref(json_array_get(link->events, 0));

	if (event) {
		json_array_remove(link->events, 0);
		return event;
	}
	while ((event = receive(link, FOREVER))) {
		if (json_is_string(json_object_get(event, "event")))
			break;
		json_decref(event);
	}
	return event;
}

static bool is_about(json_t *event, const char *name, const char *id)
{
	json_t *data = json_object_get(event, "data");
	const char *is_name =
		json_string_value(json_object_get(event, "event"));
	const char *is_id = json_string_value(json_object_get(data, "id"));

	return is_name && is_id && !strcmp(is_name, name) && !strcmp(is_id, id);
}

/* Among those that came already. */
static bool has_come(struct link *link, const char *name, const char *id)
{
	json_t *event;
	size_t i;

	json_array_foreach(link->events, i, event)
	{
		if (is_about(event, name, id)) {
			json_array_remove(link->events, i);
			return true;
		}
	}
	return false;
}

int link_await(struct link *link, const char *event, const char *id)
{
	begin_to_wait(link);
	while (!has_come(link, event, id)) {
		json_t *message = receive(link, rest_msec(link));

		if (!message)
			return -ETIMEDOUT;
		keep_event(link, message);
	}
	return 0;
}

pid_t link_peer(const struct link *link)
{
	struct ucred peer;
	socklen_t nr_bytes = sizeof(peer);

	if (getsockopt(link->fd, SOL_SOCKET, SO_PEERCRED, &peer, &nr_bytes) < 0)
		return 0;
	return peer.pid;
}

static void say_why(const char *path, int error)
{
	const char *what = "";

	if (error == -ENOENT || error == -ECONNREFUSED)
		what = ": is the daemon running? --socket=PATH or "
		       "RINGHOST_SOCKET=PATH name another one";
	else if (error == -EACCES)
		what = ": it is for the user who runs the daemon";
	rh_log(RH_LOG_ERROR, TAG, "cannot connect to %s: %s%s", path,
	       strerror(-error), what);
}

static int connect_to(struct link *link)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(link->path);

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, link->path, length);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0 ||
	    connect(link->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

int link_open(struct link *link, const char *path, int timeout_msec)
{
	json_t *message;
	int error;

	*link = (struct link){
		.fd = -1,
		.path = path,
		.timeout_msec = timeout_msec,
		.events = json_array(),
	};
	error = connect_to(link);
	if (error) {
		say_why(path, error);
		return error;
	}
	begin_to_wait(link);
	message = receive(link, rest_msec(link));
	if (message && !json_object_get(message, "QMP")) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s: what listens there does not greet as QMP does; is "
		       "it the control socket of ringhost daemon?",
		       path);
		json_decref(message);
		return -EPROTO;
	}
	json_decref(message);
	if (!message)
		return -EPROTO;
	message = link_ask(link, "qmp_capabilities", NULL);
	json_decref(message);
	return message ? 0 : -EPROTO;
}

void link_close(struct link *link)
{
	rh_fd_close(&link->fd);
	json_decref(link->events);
	link->events = NULL;
}
