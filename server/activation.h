/* SPDX-License-Identifier: MIT */
/*
 * activation - sockets that the service manager has made for the process
 *
 * The protocol of sd_listen_fds(3): their numbers begin at 3, and each has a
 * name (FileDescriptorName=, by default that of the socket's unit). They stay
 * open as long as the process, so that what uses one can be removed and added
 * again.
 *
 * Control thread.
 */
#ifndef SERVER_ACTIVATION_H
#define SERVER_ACTIVATION_H

#define ACTIVATION_MAX_SOCKETS 256

struct activation_socket {
	int fd;
	const char *name; /* in names; "" for none */
};

struct activation {
	struct activation_socket sockets[ACTIVATION_MAX_SOCKETS];
	unsigned int nr;
	char *names; /* all of them, for the others to point into */
};

/*
 * What the environment says, if it is said to this process, and take it out of
 * there, so that no child inherits it. Returns 0 or -errno (logged).
 */
int activation_take(struct activation *activation);
void activation_release(struct activation *activation);

/*
 * By name, or else by number. Of several with the same name the first. NULL:
 * there is none.
 */
const struct activation_socket *
activation_find(const struct activation *activation, const char *name);

/* For its user to take, who may close it. Returns -errno on failure. */
int activation_duplicate(const struct activation_socket *socket);

#endif
