/* SPDX-License-Identifier: MIT */
/*
 * steady - what a worker's thread asks for while it serves: nothing
 *
 * What purity.py says of all paths that there are, said of those that are
 * taken. A guest in this thread gives a worker more than ten thousand requests
 * of one kind, and meanwhile no other thread allocates, frees, takes a lock or
 * logs: linked with --wrap, so that the calls pass through here.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "server/drivers/drivers.h"
#include "server/worker.h"
#include "tests/count/guest.h"
#include "tests/count/zero.h"

#define NR_WARM_ROUNDS 32
#define NR_ROUNDS      320
#define IMAGE_BYTES    (8u << 20)

enum storage {
	STORAGE_NULL,
	STORAGE_ZERO,	  /* every request through the engine */
	STORAGE_MEMORY,	  /* a file that is served in the worker's thread */
	STORAGE_UNCACHED, /* a file without page cache, if the host can */
};

struct kind {
	const char *name;
	struct guest_shape shape;
	enum storage storage;
	enum engine_kind engine;
	unsigned int poll_usec;
};

static const struct kind kinds[] = {
	{ "reads", { .nr_segments = 1 }, STORAGE_NULL },
	{ "writes", { .writes = true, .nr_segments = 1 }, STORAGE_NULL },
	{ "flushes", { .flushes = true }, STORAGE_NULL },
	{ "reads with indirect tables",
	  { .is_indirect = true, .nr_segments = 1 },
	  STORAGE_NULL },
	{ "reads of many segments",
	  { .is_indirect = true, .nr_segments = GUEST_MAX_SEGMENTS },
	  STORAGE_NULL },
	{ "reads in a packed ring",
	  { .is_packed = true, .nr_segments = 1 },
	  STORAGE_NULL },
	{ "writes of six segments in a packed ring",
	  { .is_packed = true, .writes = true, .nr_segments = 6 },
	  STORAGE_NULL },
	{ "reads in a packed ring with indirect tables",
	  { .is_packed = true, .is_indirect = true, .nr_segments = 1 },
	  STORAGE_NULL },
	{ "reads while the worker polls",
	  { .nr_segments = 1 },
	  STORAGE_NULL,
	  .poll_usec = 50 },
	{ "reads through io_uring", { .nr_segments = 1 }, STORAGE_ZERO },
	{ "reads of a file in memory", { .nr_segments = 1 }, STORAGE_MEMORY },
	{ "writes of a file in memory, of six segments in a packed ring",
	  { .is_packed = true, .writes = true, .nr_segments = 6 },
	  STORAGE_MEMORY },
	{ "flushes of a file", { .flushes = true }, STORAGE_MEMORY },
	{ "reads of a file on a disk", { .nr_segments = 1 }, STORAGE_UNCACHED },
	{ "reads of many segments of a file on a disk",
	  { .is_indirect = true, .nr_segments = GUEST_MAX_SEGMENTS },
	  STORAGE_UNCACHED },
	{ "writes of a file on a disk",
	  { .writes = true, .nr_segments = 1 },
	  STORAGE_UNCACHED },
	{ "reads through threads",
	  { .nr_segments = 1 },
	  STORAGE_ZERO,
	  .engine = ENGINE_THREADS },
};

/* What others than this thread have done. */
static atomic_uint nr_allocations;
static atomic_uint nr_locks;
static atomic_uint nr_lines;
static _Thread_local bool is_guest;

static void note(atomic_uint *counter)
{
	if (!is_guest)
		atomic_fetch_add(counter, 1);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *old);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *old);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

void *__wrap_malloc(size_t bytes)
{
	note(&nr_allocations);
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	note(&nr_allocations);
	return __real_calloc(nr, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	note(&nr_allocations);
	return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	note(&nr_allocations);
	return __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *old)
{
	note(&nr_allocations);
	__real_free(old);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	note(&nr_locks);
	return __real_pthread_mutex_lock(mutex);
}

static void count_line(void *opaque, enum rh_log_level level, const char *tag,
		       const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
	note(&nr_lines);
}

struct bench {
	const struct kind *kind;
	struct worker *worker;
	struct driver *driver;
	struct virtio_blk *blk;
	struct guest guest;
	int image_fd;
	char image[64]; /* to be removed, or empty */
};

static const struct driver_ops *ops_of(enum storage storage)
{
	switch (storage) {
	case STORAGE_NULL:
		return &driver_null;
	case STORAGE_ZERO:
		return &zero_driver;
	case STORAGE_MEMORY:
	case STORAGE_UNCACHED:
		break;
	}
	return &driver_file;
}

static void make_image(struct bench *bench, char path[static 64])
{
	if (bench->kind->storage == STORAGE_UNCACHED) {
		strcpy(bench->image, "steady-XXXXXX");
		bench->image_fd = mkstemp(bench->image);
		assert_int_equal(ftruncate(bench->image_fd, IMAGE_BYTES), 0);
		strcpy(path, bench->image);
	} else {
		bench->image_fd = rh_memfd_create("image", IMAGE_BYTES);
		snprintf(path, 64, "/proc/self/fd/%d", bench->image_fd);
	}
}

static void open_disk(struct bench *bench)
{
	const struct virtio_blk_options blk_options = {
		.name = "disk0",
		.nr_queues = 1,
		.queue_size = 256,
	};
	char path[64] = "";
	struct driver_options options = {
		.image = path,
		.name = "disk0",
		.cache = DRIVER_CACHE_WRITEBACK,
		.size_bytes = IMAGE_BYTES,
	};
	enum storage storage = bench->kind->storage;

	if (storage == STORAGE_UNCACHED)
		options.cache = DRIVER_CACHE_NONE;
	if (ops_of(storage) == &driver_file)
		make_image(bench, path);
	assert_int_equal(ops_of(storage)->open(&options, &bench->driver), 0);
	assert_int_equal(
		virtio_blk_create(&blk_options, bench->driver, &bench->blk), 0);
	virtio_blk_features_set(bench->blk, virtio_blk_features(bench->blk));
}

/* On threads where the host does not allow io_uring. */
static void make_worker(struct bench *bench)
{
	const struct kind *kind = bench->kind;

	if (worker_create("steady", kind->engine, kind->poll_usec,
			  &bench->worker) < 0)
		assert_int_equal(worker_create("steady", ENGINE_THREADS,
					       kind->poll_usec, &bench->worker),
				 0);
	assert_int_equal(worker_start(bench->worker), 0);
}

static struct rh_queue *queue_of(struct bench *bench)
{
	return &bench->guest.memory.ring.queue;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	is_guest = true;
	rh_log_set(count_line, NULL, RH_LOG_DEBUG);
	bench->kind = *state;
	bench->image_fd = -1;
	make_worker(bench);
	open_disk(bench);
	guest_init(&bench->guest, bench->kind->shape);
	queue_of(bench)->kick_fd = rh_eventfd_create();
	rh_signal_fd_set(&queue_of(bench)->call, rh_eventfd_create());
	ring_start(&bench->guest.memory.ring, guest_features(&bench->guest));
	assert_int_equal(worker_queue_start(bench->worker, queue_of(bench),
					    bench->blk, bench->driver),
			 0);
	*state = bench;
	return 0;
}

static void stop_queue(struct bench *bench)
{
	struct pollfd woken = {
		.fd = queue_of(bench)->wake_fd,
		.events = POLLIN,
	};

	worker_queue_stop(bench->worker, queue_of(bench), NULL, NULL);
	while (!atomic_load(&queue_of(bench)->given_back)) {
		assert_int_equal(poll(&woken, 1, -1), 1);
		rh_eventfd_drain(woken.fd);
	}
	rh_queue_finish(queue_of(bench));
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	stop_queue(bench);
	worker_destroy(bench->worker);
	guest_deinit(&bench->guest);
	virtio_blk_destroy(bench->blk);
	bench->driver->ops->close(bench->driver);
	rh_fd_close(&bench->image_fd);
	if (bench->image[0])
		unlink(bench->image);
	free(bench);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	return 0;
}

static void run_rounds(struct bench *bench, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		guest_ask(&bench->guest);
		rh_eventfd_signal(queue_of(bench)->kick_fd);
		while (!guest_is_answered(&bench->guest))
			sched_yield();
	}
}

static void no_request_allocates_locks_or_logs(void **state)
{
	struct bench *bench = *state;
	const char *engine = worker_engine_name(bench->worker);

	run_rounds(bench, NR_WARM_ROUNDS);
	/* The start of the queue, which is the proof that we would notice. */
	assert_int_not_equal(atomic_exchange(&nr_allocations, 0), 0);
	atomic_store(&nr_locks, 0);
	atomic_store(&nr_lines, 0);
	run_rounds(bench, NR_ROUNDS);
	assert_int_equal(atomic_load(&nr_allocations), 0);
	assert_int_equal(atomic_load(&nr_lines), 0);
	if (!strcmp(engine, "io_uring"))
		assert_int_equal(atomic_load(&nr_locks), 0);
	/* It hands over between threads, and does so under a lock. */
	if (bench->kind->engine == ENGINE_THREADS)
		assert_int_not_equal(atomic_load(&nr_locks), 0);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(kinds)];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		tests[i] = (struct CMUnitTest){
			.name = kinds[i].name,
			.test_func = no_request_allocates_locks_or_logs,
			.setup_func = set_up,
			.teardown_func = tear_down,
			.initial_state = (void *)(uintptr_t)&kinds[i],
		};
	return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
