/* SPDX-License-Identifier: MIT */
/* fake-daemon - listens on a socket and says what a test wants it to say */
#include "tests/unit/fake-daemon.h"

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

/* Appends to what was heard. Returns false at the end of the client. */
static bool hear_line(struct fake_daemon *fake, int fd)
{
	size_t nr = strlen(fake->heard);

	while (nr + 1 < sizeof(fake->heard)) {
		if (read(fd, fake->heard + nr, 1) != 1)
			return false;
		if (fake->heard[nr++] == '\n')
			return true;
	}
	return false;
}

/* A client that has heard enough may go at any time. */
static void say(int fd, const char *text)
{
	size_t nr = strlen(text);

	while (nr) {
		ssize_t sent = send(fd, text, nr, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		text += sent;
		nr -= (size_t)sent;
	}
}

static void *serve(void *opaque)
{
	struct fake_daemon *fake = opaque;
	int fd = accept(fake->fd, NULL, NULL);

	for (unsigned int i = 0; fake->texts[i]; i++) {
		if (i && !hear_line(fake, fd))
			break;
		say(fd, fake->texts[i]);
	}
	while (!fake->hangs_up && hear_line(fake, fd))
		;
	close(fd);
	return NULL;
}

void fake_daemon_begin(struct fake_daemon *fake, const char *const *texts,
		       bool hangs_up)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*fake = (struct fake_daemon){ .texts = texts, .hangs_up = hangs_up };
	snprintf(fake->dir, sizeof(fake->dir), "/tmp/ringhost-XXXXXX");
	assert_non_null(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof(fake->path), "%s/control", fake->dir);
	strcpy(address.sun_path, fake->path);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address,
			      sizeof(address)),
			 0);
	assert_int_equal(listen(fake->fd, 1), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

void fake_daemon_end(struct fake_daemon *fake)
{
	pthread_join(fake->thread, NULL);
	close(fake->fd);
	unlink(fake->path);
	rmdir(fake->dir);
}
