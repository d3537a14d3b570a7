/* SPDX-License-Identifier: MIT */
/*
 * disk - an image opened through its driver, in the hands of a test
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define PAGE_BYTES 4096
#define MAX_LINES  64u

static char lines[MAX_LINES][512];
static unsigned int nr_lines;
static int loop_fd = -1;

struct driver_options disk_options(const char *image)
{
	return (struct driver_options){
		.image = image,
		.name = "disk0",
		.cache = DRIVER_CACHE_WRITEBACK,
	};
}

static void turn(struct disk *disk, bool wait)
{
	int error = engine_turn(disk->engine, wait);

	assert(!error);
}

enum engine_kind disk_engine_kind(const char *name)
{
	bool is_uring = !strcmp(name, "uring");
	enum engine_kind kind = is_uring ? ENGINE_URING : ENGINE_THREADS;
	struct engine *engine = NULL;

	assert(is_uring || !strcmp(name, "threads"));
	if (engine_create(kind, &engine)) {
		printf("1..0 # SKIP this host has no engine %s\n", name);
		exit(0);
	}
	engine_destroy(engine);
	return kind;
}

void disk_attach(struct disk *disk, struct driver *driver,
		 enum engine_kind kind)
{
	int error = kind == ENGINE_FAKE ? fake_engine_create(&disk->engine) :
					  engine_create(kind, &disk->engine);

	assert(!error);
	disk->driver = driver;
	error = driver->ops->attach(driver, disk->engine, &disk->context);
	assert(!error);
}

/* A watch that is removed after all that were unwatched before. */
struct last_watch {
	struct engine_watch watch;
	bool is_removed;
};

static void note_removal(struct engine_watch *watch)
{
	container_of(watch, struct last_watch, watch)->is_removed = true;
}

void disk_detach(struct disk *disk)
{
	struct last_watch last = {
		.watch.fd = rh_eventfd_create(),
		.watch.removed = note_removal,
	};
	int error = engine_watch(disk->engine, &last.watch);

	assert(!error);
	turn(disk, false);
	disk->driver->ops->detach(disk->context);
	engine_unwatch(disk->engine, &last.watch);
	while (!last.is_removed)
		turn(disk, true);
	engine_destroy(disk->engine);
	rh_fd_close(&last.watch.fd);
}

int disk_open(struct disk *disk, const struct driver_options *options,
	      enum engine_kind kind)
{
	struct driver *driver = NULL;
	int error = driver_find("file")->open(options, &driver);

	if (error) {
		assert(!driver);
		return error;
	}
	disk_attach(disk, driver, kind);
	return 0;
}

void disk_close(struct disk *disk)
{
	disk_detach(disk);
	disk->driver->ops->close(disk->driver);
}

static void note_completion(struct blk_request *blk, int result)
{
	struct disk_request *request =
		container_of(blk, struct disk_request, blk);

	request->nr_completions++;
	request->result = result;
	assert(request->nr_completions == 1);
}

void disk_prepare(struct disk_request *request, enum blk_op op,
		  uint64_t offset_bytes, void *data, uint64_t bytes)
{
	bool moves = op == BLK_READ || op == BLK_WRITE;

	memset(&request->blk, 0xa5, sizeof(request->blk));
	request->nr_completions = 0;
	request->iov[0] = (struct iovec){ data, moves ? bytes : 0 };
	request->blk.op = op;
	request->blk.flags = 0;
	request->blk.offset_bytes = offset_bytes;
	request->blk.bytes = bytes;
	request->blk.iov = request->iov;
	request->blk.nr_iov = moves ? 1 : 0;
	request->blk.complete = note_completion;
}

void disk_start(struct disk *disk, struct disk_request *request)
{
	const struct driver_ops *ops = disk->driver->ops;
	enum driver_answer answer;

	while ((answer = ops->submit(disk->context, &request->blk)) ==
	       DRIVER_BUSY)
		turn(disk, false);
	assert(!request->nr_completions);
	if (answer != DRIVER_COMPLETED)
		return;
	request->nr_completions++;
	request->result = request->blk.result;
}

int disk_wait(struct disk *disk, struct disk_request *request)
{
	while (!request->nr_completions)
		turn(disk, true);
	return request->result;
}

int disk_do(struct disk *disk, enum blk_op op, uint64_t offset_bytes,
	    void *data, uint64_t bytes)
{
	struct disk_request request;

	disk_prepare(&request, op, offset_bytes, data, bytes);
	disk_start(disk, &request);
	return disk_wait(disk, &request);
}

int disk_do_flags(struct disk *disk, enum blk_op op, uint32_t flags,
		  uint64_t offset_bytes, uint64_t bytes)
{
	struct disk_request request;

	disk_prepare(&request, op, offset_bytes, NULL, bytes);
	request.blk.flags = flags;
	disk_start(disk, &request);
	return disk_wait(disk, &request);
}

void disk_make_image(char path[static 64], uint64_t size_bytes)
{
	int fd;

	strcpy(path, "image-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert(fd >= 0);
	if (ftruncate(fd, (off_t)size_bytes) < 0)
		abort();
	close(fd);
}

void disk_fill(void *data, uint64_t offset_bytes, size_t bytes,
	       unsigned int seed)
{
	uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++) {
		uint64_t at = offset_bytes + i;

		byte[i] = (uint8_t)(at * 7 + (at >> 9) * 13 + seed * 31 + 1);
	}
}

void *disk_memory(size_t bytes)
{
	void *memory = aligned_alloc(
		PAGE_BYTES, align_down(bytes + PAGE_BYTES - 1, PAGE_BYTES));

	assert(memory);
	memset(memory, 0, bytes);
	return memory;
}

/* What the device's last owner said about writing lives on. */
static void unprotect(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	int off = 0;

	ioctl(fd, BLKROSET, &off);
}

/* Returns the fd on which the device's life hangs, or -1. */
static int claim_loop(int control_fd, int image_fd, unsigned int sector_bytes,
		      char path[static 64])
{
	struct loop_config config = {
		.fd = (uint32_t)image_fd,
		.block_size = sector_bytes,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
	int fd;

	if (number < 0)
		return -1;
	snprintf(path, 64, "/dev/loop%d", number);
	unprotect(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
		rh_fd_close(&fd);
		return -1;
	}
	return fd;
}

bool disk_make_loop(char path[static 64], const char *image,
		    unsigned int sector_bytes)
{
	cleanup_close int image_fd = open(image, O_RDWR | O_CLOEXEC);
	cleanup_close int control_fd =
		open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	assert(image_fd >= 0 && loop_fd < 0);
	/* Another program may take the free one first. */
	for (int i = 0; control_fd >= 0 && i < 20 && loop_fd < 0; i++)
		loop_fd = claim_loop(control_fd, image_fd, sector_bytes, path);
	return loop_fd >= 0;
}

void disk_remove_loop(void)
{
	rh_fd_close(&loop_fd);
}

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)level;
	assert(!strcmp(tag, "disk0"));
	strncpy(lines[nr_lines++ % MAX_LINES], line, sizeof(lines[0]) - 1);
}

void disk_listen_to_log(void)
{
	memset(lines, 0, sizeof(lines));
	nr_lines = 0;
	rh_log_set(remember, NULL, RH_LOG_INFO);
}

const char *disk_logged(const char *text)
{
	for (unsigned int i = MIN(nr_lines, MAX_LINES); i-- > 0;)
		if (strstr(lines[i], text))
			return lines[i];
	return NULL;
}

unsigned int disk_nr_logged(const char *text)
{
	unsigned int nr_found = 0;

	for (unsigned int i = 0; i < MIN(nr_lines, MAX_LINES); i++)
		nr_found += strstr(lines[i], text) != NULL;
	return nr_found;
}
