/* SPDX-License-Identifier: MIT */
/*
 * confined - what a server under test has given up, as the kernel tells it
 */
#ifndef E2E_CONFINED_H
#define E2E_CONFINED_H

#include "tests/e2e/server.h"

/* What a thread may still do. */
struct confined_rights {
	unsigned long long capabilities; /* in any of the five sets */
	int no_new_privileges;
	int filter; /* 2: seccomp's */
};

/* path: of a status file in /proc. */
struct confined_rights confined_rights_of(const char *path);

/*
 * How many threads it has, without those that the kernel lends it for a while;
 * fails the test unless all of them are confined.
 */
unsigned int confined_count(const struct server *server);

/* False for a host without Landlock. */
bool confined_can_be(void);

/* In the child that becomes the server: as on a kernel without Landlock. */
void confined_without_landlock(const struct server *server);

#endif
