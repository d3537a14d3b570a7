/* SPDX-License-Identifier: MIT */
/*
 * hints - the line that says "ready", and the lines to paste
 *
 * What a user needs to connect a VM, exact to the last word: quoted for the
 * shell, for QEMU's and cloud-hypervisor's options, for XML.
 */
#ifndef SERVER_HINTS_H
#define SERVER_HINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct hints {
	const char *name;   /* of the disk */
	const char *image;  /* as the user named it */
	const char *socket; /* absolute path; NULL for an inherited socket */
	int fd;		    /* the inherited socket */
	uint64_t size_bytes;
	const char *cache;
	const char *engine;
	unsigned int nr_queues;
	unsigned int queue_size;
	bool read_only;
};

/* One line. */
void hints_print_ready(const struct hints *hints, FILE *out);

/* Nothing for an inherited socket, since its path is not known. */
void hints_print_paste(const struct hints *hints, FILE *out);

#endif
