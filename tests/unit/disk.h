/* SPDX-License-Identifier: MIT */
/*
 * disk - an image opened through its driver, in the hands of a test
 *
 * What a worker does, one request at a time or several: attach, submit, turn
 * until all have completed. Also image files, loop devices, and the lines
 * that were logged.
 */
#ifndef TESTS_UNIT_DISK_H
#define TESTS_UNIT_DISK_H

#include <sys/types.h>

#include "server/driver.h"

#define DISK_MAX_IOV 4096

/* One more kind, for disk_open() and disk_attach(): fake_engine.h */
#define ENGINE_FAKE ((enum engine_kind)2)

struct disk {
	struct driver *driver;
	struct engine *engine;
	struct driver_context *context;
};

/* A request and what became of it. */
struct disk_request {
	struct blk_request blk;
	struct iovec iov[DISK_MAX_IOV];
	int nr_completions;
	int result;
};

/* Of "threads" or "uring"; skips the program if the host has no such engine. */
enum engine_kind disk_engine_kind(const char *name);

/* Returns what open returned; everything is closed if it failed. */
int disk_open(struct disk *disk, const struct driver_options *options,
	      enum engine_kind kind);
void disk_close(struct disk *disk);

/* A second worker's part of the same driver. */
void disk_attach(struct disk *disk, struct driver *driver,
		 enum engine_kind kind);
void disk_detach(struct disk *disk);

/* Options for an image that exists. */
struct driver_options disk_options(const char *image);

/* request->iov of one piece */
void disk_prepare(struct disk_request *request, enum blk_op op,
		  uint64_t offset_bytes, void *data, uint64_t bytes);

/* Submit until it is taken. */
void disk_start(struct disk *disk, struct disk_request *request);

/* Turn until it has completed; returns its result. */
int disk_wait(struct disk *disk, struct disk_request *request);

/* prepare, start, wait */
int disk_do(struct disk *disk, enum blk_op op, uint64_t offset_bytes,
	    void *data, uint64_t bytes);
int disk_do_flags(struct disk *disk, enum blk_op op, uint32_t flags,
		  uint64_t offset_bytes, uint64_t bytes);

/* A new image file under the build folder, all zero; removed by the caller. */
void disk_make_image(char path[static 64], uint64_t size_bytes);

/* A pattern that differs at each offset and for each seed. */
void disk_fill(void *data, uint64_t offset_bytes, size_t bytes,
	       unsigned int seed);

/* Page-aligned memory, zero; freed with free(). */
void *disk_memory(size_t bytes);

/*
 * A loop device over the image with the given sector size, one at a time; it
 * goes with the process at the latest. False if this is not allowed here.
 */
bool disk_make_loop(char path[static 64], const char *image,
		    unsigned int sector_bytes);
void disk_remove_loop(void);

/* Lines that were logged since; the last one that contains text, or NULL. */
void disk_listen_to_log(void);
const char *disk_logged(const char *text);
unsigned int disk_nr_logged(const char *text);

#endif
