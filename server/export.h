/* SPDX-License-Identifier: MIT */
/*
 * export - one disk offered on one socket
 *
 * Ties a device, a driver and workers together: which queue runs on which
 * worker, when the image is claimed and released, in which order all of it
 * stops. Control thread only.
 */
#ifndef SERVER_EXPORT_H
#define SERVER_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/driver.h"
#include "server/worker.h"

struct export_options {
	const char *name; /* tag of log lines, unique in the process */
	const struct driver_ops *driver;
	struct driver_options driver_options;
	const char *serial;
	uint64_t block_bytes; /* 0: that of the image */
	unsigned int nr_queues;
	unsigned int queue_size;
};

struct export;

/*
 * Open the image and make the device; no socket yet. workers: nr_workers of
 * them, they outlive the export. Returns 0 with *ret set, or -errno (logged).
 */
int export_create(const struct export_options *options, struct worker **workers,
		  unsigned int nr_workers, struct export **ret);

/* After export_finished(), or before it had a socket. NULL is accepted. */
void export_destroy(struct export *export);

/* fd: taken on success. listening: else it is a connected socket. */
int export_serve(struct export *export, int fd, bool listening);

/* What to wait on, and what to call then. Returns 0 or -errno (logged). */
int export_fd(const struct export *export);
int export_run(struct export *export);

/* Asynchronous: until export_finished(). */
void export_stop(struct export *export);
bool export_finished(const struct export *export);

/* Sessions that have ended since export_create(). */
unsigned int export_nr_sessions_ended(const struct export *export);

/* The image's size may have changed: learn it and tell the guest. */
int export_resize(struct export *export);

/* SIGUSR2 has come; the driver is one that catches it. */
void export_user_signal(struct export *export);

const struct driver_info *export_info(const struct export *export);
uint64_t export_block_bytes(const struct export *export);

#endif
