/* SPDX-License-Identifier: MIT */
/* qmp - a client of a daemon's control socket */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/qmp.h"
#include "tests/frontend/clock.h"

char qmp_error[512];

static void receive(struct qmp *qmp)
{
	struct pollfd ready = { .fd = qmp->fd, .events = POLLIN };
	ssize_t nr;

	qmp->bytes = realloc(qmp->bytes, qmp->nr_bytes + 65536);
	assert_non_null(qmp->bytes);
	if (poll(&ready, 1, FE_PATIENCE_MSEC) != 1)
		fail_msg("nothing came from the control socket");
	nr = recv(qmp->fd, qmp->bytes + qmp->nr_bytes, 65536, 0);
	assert_true(nr > 0);
	qmp->nr_bytes += (size_t)nr;
}

/* Messages are lines. */
static json_t *next_message(struct qmp *qmp)
{
	json_t *message;
	char *end;
	size_t nr;

	while (!qmp->nr_bytes ||
	       !(end = memchr(qmp->bytes, '\n', qmp->nr_bytes)))
		receive(qmp);
	nr = (size_t)(end + 1 - qmp->bytes);
	message = json_loadb(qmp->bytes, nr, 0, NULL);
	assert_non_null(message);
	memmove(qmp->bytes, end + 1, qmp->nr_bytes - nr);
	qmp->nr_bytes -= nr;
	return message;
}

/* The next one that is no event. */
static json_t *next_answer(struct qmp *qmp)
{
	json_t *message;

	while (json_object_get(message = next_message(qmp), "event"))
		json_array_append_new(qmp->events, message);
	return message;
}

void qmp_open(struct qmp *qmp, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	json_t *greeting;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	*qmp = (struct qmp){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
					  0) };
	qmp->events = json_array();
	assert_int_equal(connect(qmp->fd, (struct sockaddr *)&address,
				 sizeof(address)),
			 0);
	greeting = next_message(qmp);
	assert_non_null(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	qmp_do(qmp, "qmp_capabilities", "{}");
}

void qmp_close(struct qmp *qmp)
{
	close(qmp->fd);
	free(qmp->bytes);
	json_decref(qmp->events);
}

static void send_command(struct qmp *qmp, const char *command,
			 const char *format, va_list list)
{
	char arguments[4096];
	char text[8192];
	int nr;

	vsnprintf(arguments, sizeof(arguments), format, list);
	nr = snprintf(text, sizeof(text),
		      "{'execute': '%s', 'arguments': %s}\n", command,
		      arguments);
	for (int i = 0; i < nr; i++)
		text[i] = text[i] == '\'' ? '"' : text[i];
	assert_int_equal(send(qmp->fd, text, (size_t)nr, MSG_NOSIGNAL), nr);
}

json_t *qmp_answer(struct qmp *qmp)
{
	json_t *answer = next_answer(qmp);
	json_t *result;

	result = json_incref(json_object_get(answer, "return"));
	if (!result)
		snprintf(qmp_error, sizeof(qmp_error), "%s",
			 json_string_value(json_object_get(
				 json_object_get(answer, "error"), "desc")));
	json_decref(answer);
	return result;
}

static json_t *ask(struct qmp *qmp, const char *command, const char *format,
		   va_list list)
{
	send_command(qmp, command, format, list);
	return qmp_answer(qmp);
}

void qmp_order(struct qmp *qmp, const char *command, const char *arguments, ...)
{
	va_list list;

	va_start(list, arguments);
	send_command(qmp, command, arguments, list);
	va_end(list);
}

json_t *qmp_ask(struct qmp *qmp, const char *command, const char *arguments,
		...)
{
	va_list list;
	json_t *result;

	va_start(list, arguments);
	result = ask(qmp, command, arguments, list);
	va_end(list);
	return result;
}

void qmp_do(struct qmp *qmp, const char *command, const char *arguments, ...)
{
	va_list list;
	json_t *result;

	va_start(list, arguments);
	result = ask(qmp, command, arguments, list);
	va_end(list);
	if (!result)
		fail_msg("%s: %s", command, qmp_error);
	json_decref(result);
}

void qmp_fails(struct qmp *qmp, const char *why, const char *command,
	       const char *arguments, ...)
{
	va_list list;

	va_start(list, arguments);
	if (ask(qmp, command, arguments, list))
		fail_msg("%s %s has succeeded", command, arguments);
	va_end(list);
	if (!strstr(qmp_error, why))
		fail_msg("%s fails with '%s', not with '%s'", command,
			 qmp_error, why);
}

static json_t *ask_for_list(struct qmp *qmp, const char *command,
			    const char *arguments)
{
	json_t *list = qmp_ask(qmp, command, "%s", arguments);

	if (!json_is_array(list))
		fail_msg("%s returns no array", command);
	return list;
}

json_t *qmp_find(struct qmp *qmp, const char *command, const char *arguments,
		 const char *member, const char *text)
{
	json_t *list = ask_for_list(qmp, command, arguments);
	json_t *found = NULL;
	json_t *element;
	size_t i;

	json_array_foreach(list, i, element)
	{
		const char *is =
			json_string_value(json_object_get(element, member));

		if (is && !strcmp(is, text))
			found = element;
	}
	json_incref(found);
	json_decref(list);
	return found;
}

size_t qmp_count(struct qmp *qmp, const char *command)
{
	json_t *list = ask_for_list(qmp, command, "{}");
	size_t nr = json_array_size(list);

	json_decref(list);
	return nr;
}

static json_t *take_event(struct qmp *qmp, const char *name)
{
	json_t *event;
	size_t i;

	json_array_foreach(qmp->events, i, event)
	{
		if (strcmp(json_string_value(json_object_get(event, "event")),
			   name) != 0)
			continue;
		json_incref(event);
		json_array_remove(qmp->events, i);
		return event;
	}
	return NULL;
}

json_t *qmp_event(struct qmp *qmp, const char *name)
{
	static json_t *last;

	json_decref(last);
	while (!(last = take_event(qmp, name)))
		json_array_append_new(qmp->events, next_message(qmp));
	return json_object_get(last, "data");
}
