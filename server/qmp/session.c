/* SPDX-License-Identifier: MIT */
/*
 * session - one client of the control socket
 *
 * Answers are in the order of the commands, since the next command is only
 * looked at when the one before it has been answered. Bytes are only read when
 * no whole command waits, and none while answers wait to be sent, so neither
 * what comes in nor what goes out grows with what the client does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ringhost/version.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/qmp/frame.h"
#include "server/qmp/session.h"

#define TAG		 "qmp"
#define LIKE_QEMU	 10	    /* clients ask it what the commands know */
#define MAX_EVENTS_BYTES (1u << 20) /* that wait for a client */

/* A command under way; the session may go before it ends. */
struct command {
	struct qmp_call call;
	struct qmp_session *session; /* NULL: nobody waits for the answer */
	json_t *request;	     /* owned */
};

struct qmp_session {
	struct qmp_host *host;
	struct loop_watch watch;
	int fd;
	size_t dump_flags;
	bool negotiated;
	bool ending;		 /* as soon as what waits has been sent */
	bool lent;		 /* somebody else speaks with the client now */
	bool running;		 /* inside advance(), which goes on by itself */
	struct command *command; /* NULL: none is under way */
	struct qmp_frame in;
	char *out;
	size_t nr_out;
	size_t nr_sent;
	struct log_limit log_limit;
};

static void append(struct qmp_session *session, const json_t *message)
{
	static const char newline[] = "\r\n";
	cleanup_free char *text = json_dumps(message, session->dump_flags);
	size_t nr = text ? strlen(text) : 0;
	char *out =
		realloc(session->out, session->nr_out + nr + sizeof(newline));

	if (!text || !out) {
		session->ending = true; /* an answer that is left out lies */
		session->out = out ? out : session->out;
		return;
	}
	snprintf(out + session->nr_out, nr + sizeof(newline), "%s%s", text,
		 newline);
	session->out = out;
	session->nr_out += nr + strlen(newline);
}

/* Returns false when the client is gone. */
static bool send_out(struct qmp_session *session)
{
	while (session->nr_sent < session->nr_out) {
		ssize_t nr = write(session->fd, session->out + session->nr_sent,
				   session->nr_out - session->nr_sent);

		if (nr < 0 && errno == EINTR)
			continue;
		if (nr < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		session->nr_sent += (size_t)nr;
	}
	free(session->out);
	session->out = NULL;
	session->nr_out = 0;
	session->nr_sent = 0;
	return true;
}

static void watch_events(struct qmp_session *session)
{
	bool wants_out = session->nr_out > 0 || session->ending;
	uint32_t events = wants_out ? EPOLLOUT : 0;

	if (!session->command && !wants_out && !session->lent)
		events |= EPOLLIN;
	if (loop_change(session->host->loop, &session->watch, events) < 0)
		session->ending = true;
}

json_t *qmp_version(void)
{
	return json_pack("{s:{s:i,s:i,s:i},s:s+}", "qemu", "micro", 0, "minor",
			 0, "major", LIKE_QEMU, "package", "ringhost ",
			 rh_version());
}

static void greet(struct qmp_session *session)
{
	json_t *greeting = json_pack("{s:{s:o,s:[]}}", "QMP", "version",
				     qmp_version(), "capabilities");

	append(session, greeting);
	json_decref(greeting);
}

/* A name that was cut in the middle of a character is told all the same. */
static json_t *sentence(const char *why)
{
	json_t *text = json_string(why);
	char plain[QMP_WHY_BYTES];

	if (text)
		return text;
	snprintf(plain, sizeof(plain), "%s", why);
	for (char *byte = plain; *byte; byte++) {
		if (*byte & 0x80)
			*byte = '?';
	}
	return json_string(plain);
}

/* value: handed over; NULL: an error. id: borrowed, NULL: none. */
static void answer(struct qmp_session *session, json_t *value,
		   const char *class, const char *why, json_t *id)
{
	json_t *message;

	if (value)
		message = json_pack("{s:o}", "return", value);
	else
		message = json_pack("{s:{s:s,s:o}}", "error", "class",
				    class ?: "GenericError", "desc",
				    sentence(why));
	if (id)
		json_object_set(message, "id", id);
	append(session, message);
	json_decref(message);
}

static void refuse(struct qmp_session *session, const char *class,
		   const char *why, json_t *id)
{
	answer(session, NULL, class, why, id);
}

/*
 * What the client has sent behind it is looked at by the loop: who answers may
 * be in the middle of something that the next command would take away.
 */
static void command_answered(struct qmp_call *call, json_t *value,
			     const char *class, const char *why)
{
	struct command *command = container_of(call, struct command, call);
	struct qmp_session *session = command->session;
	json_t *id = json_object_get(command->request, "id");

	if (session) {
		answer(session, value, class, why, id);
		session->command = NULL;
	} else {
		json_decref(value);
	}
	json_decref(command->request);
	free(command);
	if (session && !session->running)
		watch_events(session);
}

static int lend_socket(struct qmp_call *call)
{
	struct qmp_session *session =
		container_of(call, struct command, call)->session;
	int fd;

	if (!session)
		return -ENOTCONN;
	fd = fcntl(session->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	session->lent = true;
	return fd;
}

static void negotiate(struct qmp_session *session, const char *name,
		      json_t *request)
{
	json_t *enable = json_object_get(json_object_get(request, "arguments"),
					 "enable");
	json_t *id = json_object_get(request, "id");

	if (strcmp(name, "qmp_capabilities") != 0) {
		refuse(session, "CommandNotFound",
		       "Expecting capabilities negotiation with "
		       "'qmp_capabilities'",
		       id);
	} else if (json_array_size(enable) > 0) {
		refuse(session, NULL, "There are no capabilities to enable",
		       id);
	} else {
		session->negotiated = true;
		answer(session, json_object(), NULL, NULL, id);
	}
}

/* request: handed over. */
static void run(struct qmp_session *session, const char *name, json_t *request)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command) {
		refuse(session, NULL, "out of memory",
		       json_object_get(request, "id"));
		json_decref(request);
		return;
	}
	*command = (struct command){
		.call = {
			.arguments = json_object_get(request, "arguments"),
			.typed = true,
			.answered = command_answered,
			.lend_socket = lend_socket,
		},
		.session = session,
		.request = request,
	};
	session->command = command;
	session->host->run(session->host, name, &command->call);
}

/* What is wrong with the request's form; NULL: nothing. */
static const char *fault_of(json_t *request)
{
	json_t *arguments = json_object_get(request, "arguments");
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return "QMP input must be a JSON object";
	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "execute") != 0 && strcmp(key, "id") != 0 &&
		    strcmp(key, "arguments") != 0)
			return "QMP input has a member that is unexpected "
			       "(execute, arguments and id are known)";
	}
	if (!json_is_string(json_object_get(request, "execute")))
		return "QMP input lacks member 'execute', or it is no string";
	if (arguments && !json_is_object(arguments))
		return "QMP input member 'arguments' must be an object";
	return NULL;
}

/* request: handed over. */
static void take(struct qmp_session *session, json_t *request)
{
	const char *fault = fault_of(request);
	const char *name =
		json_string_value(json_object_get(request, "execute"));

	if (!fault && session->negotiated && strcmp(name, "qmp_capabilities")) {
		run(session, name, request);
		return;
	}
	if (fault)
		refuse(session, NULL, fault, json_object_get(request, "id"));
	else if (!session->negotiated)
		negotiate(session, name, request);
	else
		refuse(session, "CommandNotFound",
		       "Capabilities negotiation is already complete, command "
		       "ignored",
		       json_object_get(request, "id"));
	json_decref(request);
}

static void parse(struct qmp_session *session, const char *text, size_t bytes)
{
	json_error_t error;
	json_t *request =
		json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	char why[JSON_ERROR_TEXT_LENGTH + 32];

	if (request) {
		take(session, request);
		return;
	}
	snprintf(why, sizeof(why), "JSON parse error, %s", error.text);
	refuse(session, NULL, why, NULL);
}

/* The next command that has come whole. Returns false when there is none. */
static bool take_next(struct qmp_session *session)
{
	const char *text;
	size_t bytes;
	int outcome = qmp_frame_next(&session->in, &text, &bytes);

	if (outcome > 0) {
		parse(session, text, bytes);
	} else if (outcome == -EPROTO) {
		refuse(session, NULL, "JSON parse error, expecting a command",
		       NULL);
	} else if (outcome < 0) {
		refuse(session, NULL,
		       "JSON parse error, the command is too "
		       "long",
		       NULL);
		session->ending = true;
	}
	return outcome > 0 || outcome == -EPROTO;
}

static void end(struct qmp_session *session)
{
	session->host->ended(session->host, session);
}

/* As far as it goes without waiting; may end and free the session. */
static void advance(struct qmp_session *session)
{
	bool alive = send_out(session);

	session->running = true;
	while (alive && !session->ending && !session->command &&
	       !session->nr_out && !session->lent && take_next(session))
		alive = send_out(session);
	if (alive && session->ending)
		alive = send_out(session);
	session->running = false;
	if (!alive || (session->ending && !session->nr_out))
		end(session);
	else
		watch_events(session);
}

/* Returns false at the end of what the client sends. */
static bool receive(struct qmp_session *session)
{
	size_t room;
	char *bytes = qmp_frame_room(&session->in, &room);
	ssize_t nr;

	if (!bytes)
		return false;
	nr = read(session->fd, bytes, room);
	if (nr < 0)
		return errno == EAGAIN || errno == EINTR;
	qmp_frame_added(&session->in, (size_t)nr);
	return nr > 0;
}

static void session_ready(struct loop_watch *watch, uint32_t events)
{
	struct qmp_session *session =
		container_of(watch, struct qmp_session, watch);

	if ((events & EPOLLIN) ? !receive(session) :
				 (events & (EPOLLHUP | EPOLLERR)) != 0)
		end(session);
	else
		advance(session);
}

int qmp_session_create(struct qmp_host *host, int fd, bool pretty,
		       struct qmp_session **ret)
{
	struct qmp_session *session = calloc(1, sizeof(*session));
	int error;

	if (!session)
		return -ENOMEM;
	session->host = host;
	session->fd = fd;
	session->dump_flags = JSON_PRESERVE_ORDER;
	if (pretty)
		session->dump_flags |= JSON_INDENT(4);
	session->watch.ready = session_ready;
	error = loop_add(host->loop, &session->watch, fd, EPOLLIN | EPOLLOUT);
	if (error) {
		free(session);
		return error;
	}
	greet(session);
	*ret = session;
	return 0;
}

void qmp_session_destroy(struct qmp_session *session)
{
	if (!session)
		return;
	if (session->command)
		session->command->session = NULL;
	/* the last that it is told is that the daemon ends */
	send_out(session);
	loop_remove(session->host->loop, &session->watch);
	rh_fd_close(&session->fd);
	qmp_frame_deinit(&session->in);
	free(session->out);
	free(session);
}

void qmp_session_tell(struct qmp_session *session, json_t *event)
{
	if (!session->negotiated || session->ending || session->lent)
		return;
	if (session->nr_out - session->nr_sent > MAX_EVENTS_BYTES) {
		rh_log_limited(&session->log_limit, RH_LOG_WARNING, TAG,
			       "a client reads nothing and misses events");
		return;
	}
	append(session, event);
	send_out(session); /* who is gone is noticed when it is waited for */
	watch_events(session);
}
