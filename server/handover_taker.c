/* SPDX-License-Identifier: MIT */
/*
 * handover_taker - the daemon that takes another one's place
 *
 * A client of the other one's control socket first, then its successor. It has
 * nobody to serve yet, so it may wait for the other one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/nsec.h"
#include "server/commands.h"
#include "server/daemon_internal.h"
#include "server/handover.h"

#define TAG	  "ringhost"
#define VERSION	  1
#define WAIT_SEC  20 /* above what the other one waits for requests */
#define WAIT_MSEC (WAIT_SEC * 1000)

struct taker {
	struct daemon *daemon;
	FILE *stream;  /* the connection */
	json_t *there; /* what the other one has; owned */
};

/* A command, until it is answered. */
struct taken_call {
	struct qmp_call call;
	const char *name;
	bool answered;
	bool failed;
};

static int complain(const char *what, const char *why)
{
	rh_log(RH_LOG_ERROR, TAG, "cannot take over, %s: %s", what, why);
	return -EPROTO;
}

/* What comes after a message is not to be left for whoever reads next. */
static void skip_line_end(FILE *stream)
{
	int byte;

	do {
		byte = fgetc(stream);
	} while (byte != EOF && byte != '\n');
}

/* The next thing that the other one says which is no event; NULL (logged). */
static json_t *listen_to(struct taker *taker)
{
	json_error_t error;
	json_t *message;

	for (;;) {
		message = json_loadf(taker->stream, JSON_DISABLE_EOF_CHECK,
				     &error);
		if (!message) {
			complain("the other process does not answer as it "
				 "should",
				 ferror(taker->stream) ? strerror(errno) :
							 error.text);
			return NULL;
		}
		skip_line_end(taker->stream);
		if (!json_object_get(message, "event"))
			return message;
		json_decref(message);
	}
}

/* Returns what the command returned, a new reference, or NULL (logged). */
static json_t *ask(struct taker *taker, const char *command, json_t *arguments)
{
	json_auto_t *request = json_pack("{s:s,s:o}", "execute", command,
					 "arguments", arguments);
	cleanup_free char *text = json_dumps(request, JSON_COMPACT);
	json_auto_t *answer = NULL;
	const char *why;

	if (!text || rh_fd_put_all(fileno(taker->stream), text, strlen(text),
				   WAIT_MSEC) < 0) {
		complain("the other process is gone", strerror(errno));
		return NULL;
	}
	answer = listen_to(taker);
	if (!answer)
		return NULL;
	if (json_object_get(answer, "return"))
		return json_incref(json_object_get(answer, "return"));
	why = json_string_value(
		json_object_get(json_object_get(answer, "error"), "desc"));
	complain(command, why ? why : "it is not understood");
	return NULL;
}

/* Returns a socket or -errno. */
static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return steal_fd(&fd);
}

bool taker_has_nobody(const char *path)
{
	int fd = connect_socket(path);
	bool nobody = fd == -ENOENT || fd == -ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return nobody;
}

static int connect_to(struct taker *taker, const char *path)
{
	const struct timeval patience = { .tv_sec = WAIT_SEC };
	cleanup_close int fd = connect_socket(path);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	taker->stream = fdopen(fd, "r");
	if (!taker->stream)
		return -errno;
	steal_fd(&fd);
	return 0;
}

/* The greeting, the capabilities, and what there is. */
static int find_out(struct taker *taker)
{
	json_auto_t *greeting = listen_to(taker);
	json_auto_t *done = NULL;

	if (!greeting || !json_object_get(greeting, "QMP"))
		return -EPROTO;
	done = ask(taker, "qmp_capabilities", json_object());
	if (done)
		taker->there = ask(taker, "x-query-hand-over", json_object());
	if (!taker->there)
		return -EPROTO;
	if (json_integer_value(json_object_get(taker->there, "version")) !=
	    VERSION)
		return complain("the other process",
				"it is too far from this version: restart it "
				"instead, its clients reconnect");
	return 0;
}

static void command_answered(struct qmp_call *call, json_t *value,
			     const char *class, const char *why)
{
	struct taken_call *taken = container_of(call, struct taken_call, call);

	(void)class;
	taken->answered = true;
	taken->failed = !value;
	json_decref(value);
	if (why)
		rh_log(RH_LOG_ERROR, TAG, "cannot take over, %s: %s",
		       taken->name, why);
}

static int repeat(struct daemon *daemon, json_t *command)
{
	json_t *arguments = json_object_get(command, "arguments");
	const char *name =
		json_string_value(json_object_get(command, "execute"));
	static struct taken_call taken; /* a start that is given up leaves it */
	int error;

	taken = (struct taken_call){
		.call = {
			.arguments = arguments,
			.typed = json_is_true(
				json_object_get(command, "x-typed")),
			.answered = command_answered,
		},
		.name = name,
	};

	if (!name || !journal_keeps(name) || !json_is_object(arguments))
		return complain("the other process",
				"it has what this one does not know");
	commands_run(daemon, name, &taken.call);
	error = daemon_await(daemon, &taken.answered, -1);
	return !error && taken.failed ? -EINVAL : error;
}

static int repeat_all(struct taker *taker)
{
	json_t *commands = json_object_get(taker->there, "commands");
	json_t *command;
	size_t i;
	int error = 0;

	taker->daemon->inherits = true;
	taker->daemon->repeats = true;
	json_array_foreach(commands, i, command)
	{
		error = repeat(taker->daemon, command);
		if (error)
			break;
	}
	taker->daemon->repeats = false;
	return error;
}

int taker_begin(struct daemon *daemon, const char *path, struct taker **ret)
{
	struct taker *taker = calloc(1, sizeof(*taker));
	int error;

	if (!taker)
		return -ENOMEM;
	taker->daemon = daemon;
	error = connect_to(taker, path);
	if (error)
		complain(path, strerror(-error));
	if (!error)
		error = find_out(taker);
	if (!error)
		error = repeat_all(taker);
	*ret = taker;
	if (!error)
		return 0;
	taker_free(taker);
	*ret = NULL;
	return error;
}

static int say(struct taker *taker)
{
	const char byte = 'g';

	return rh_fd_put_all(fileno(taker->stream), &byte, sizeof(byte),
			     WAIT_MSEC);
}

static int hear(struct taker *taker)
{
	char byte;

	return rh_fd_get_all(fileno(taker->stream), &byte, sizeof(byte),
			     WAIT_MSEC);
}

/* From the first byte to the last one. */
static int take(struct taker *taker)
{
	struct daemon *daemon = taker->daemon;
	int fd = fileno(taker->stream);
	int error = say(taker);

	if (!error)
		error = secrets_take_over(&daemon->secrets, fd);
	if (!error)
		error = nodes_take_over(&daemon->nodes, fd);
	if (!error)
		error = exports_take_over(&daemon->exports, fd);
	if (!error)
		error = say(taker);
	if (!error)
		error = hear(taker);
	return error;
}

int taker_finish(struct taker *taker)
{
	json_t *generation = json_object_get(taker->there, "generation");
	uint64_t begin = nsec_now();
	json_auto_t *done = ask(taker, "x-hand-over",
				json_pack("{s:O}", "generation", generation));
	int error = done ? take(taker) : -EPROTO;

	if (error) {
		complain("the other process goes on with its disks",
			 strerror(-error));
		exports_let_go(&taker->daemon->exports);
		return error;
	}
	exports_thaw(&taker->daemon->exports);
	rh_log(RH_LOG_INFO, TAG,
	       "the disks of the other process are this one's now; they stood "
	       "still for %.1f ms",
	       (double)(nsec_now() - begin) / NSEC_PER_MSEC);
	return 0;
}

static bool has_monitor(struct daemon *daemon, const char *path)
{
	list_for_each(link, &daemon->monitors) {
		const struct monitor *monitor = monitor_of(link);

		if (monitor->path && !strcmp(monitor->path, path))
			return true;
	}
	return false;
}

const json_t *taker_monitors(const struct taker *taker)
{
	return json_object_get(taker->there, "monitors");
}

void taker_add_monitors(struct taker *taker)
{
	const json_t *monitors = taker_monitors(taker);
	json_t *monitor;
	size_t i;

	json_array_foreach(monitors, i, monitor)
	{
		const char *path =
			json_string_value(json_object_get(monitor, "path"));
		bool pretty = json_is_true(json_object_get(monitor, "pretty"));

		if (path && !has_monitor(taker->daemon, path))
			daemon_add_monitor(taker->daemon, path, pretty);
	}
}

void taker_free(struct taker *taker)
{
	if (!taker)
		return;
	if (taker->stream)
		fclose(taker->stream);
	json_decref(taker->there);
	free(taker);
}
