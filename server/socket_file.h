/* SPDX-License-Identifier: MIT */
/*
 * socket_file - the path of our socket, which we made and will remove
 *
 * The path may be somebody else's by the time of the removal: then it is left
 * alone. All that the removal needs is opened when the socket is there, since
 * a confined process can neither follow a path nor connect to a socket to see
 * who listens.
 *
 * Control thread.
 */
#ifndef SERVER_SOCKET_FILE_H
#define SERVER_SOCKET_FILE_H

struct socket_file {
	int directory_fd; /* where it is; -1: there is none */
	int fd;		  /* itself, as O_PATH opens it */
	const char *name; /* in the directory; not owned */
};

void socket_file_init(struct socket_file *file);

/* Open the directory of path, as O_PATH does. Returns it or -errno. */
int socket_file_directory(const char *path);

/* Hold what is at path, which outlives file. Returns 0 or -errno. */
int socket_file_hold(struct socket_file *file, const char *path);

/* Hold it no more, and leave it where it is. */
void socket_file_forget(struct socket_file *file);

/* Remove it if it is still the one that is held. Nothing held is accepted. */
void socket_file_remove(struct socket_file *file);

#endif
