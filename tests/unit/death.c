/* SPDX-License-Identifier: MIT */
/*
 * death - a back-end that is killed after any instruction, and its successor
 *
 * The steps are those of ptrace(2). What a process has stored is in memory
 * when it is stopped, in the order of its instructions, exactly as when it is
 * killed there.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/death.h"

/* What a death leaves behind. */
struct remains {
	uint8_t ring[DEATH_RING_BYTES];
	uint8_t region[DEATH_REGION_BYTES];
	struct death_driver driver;
};

static struct rh_queue *queue_of(struct death_world *world)
{
	return &world->memory.ring.queue;
}

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

void death_world_init(struct death_world *world, bool is_packed)
{
	int fd = rh_memfd_create("inflight", DEATH_REGION_BYTES);

	memset(world, 0, sizeof(*world));
	if (is_packed)
		packed_memory_init(&world->memory, DEATH_SIZE);
	else
		ring_init(&world->memory.ring, DEATH_SIZE);
	assert_true(world->memory.ring.next_free <= DEATH_RING_BYTES);
	assert_true(fd >= 0);
	assert_int_equal(rh_range_map(fd, 0, DEATH_REGION_BYTES, NULL,
				      &world->inflight.range),
			 0);
	rh_fd_close(&fd);
	world->inflight.nr_queues = 1;
	world->inflight.queue_size = DEATH_SIZE;
	queue_of(world)->inflight = &world->inflight;
	world->driver = shared_memory(sizeof(*world->driver));
	world->driver->is_packed = is_packed;
	world->driver->packed_avail.wrap = true;
	world->driver->packed_used.wrap = true;
}

void death_world_deinit(struct death_world *world)
{
	ring_deinit(&world->memory.ring);
	rh_inflight_drop(&world->inflight);
	munmap(world->driver, sizeof(*world->driver));
}

void *death_region(const struct death_world *world)
{
	return world->inflight.range.address;
}

int death_start(struct death_world *world)
{
	struct ring_memory *ring = &world->memory.ring;
	bool is_packed = world->driver->is_packed;
	int error;

	ring->queue.has_base = false;
	error = rh_queue_start(&ring->queue, ring->map,
			       is_packed ? RING_PACKED : 0);
	if (!error)
		ring->queue.state = RH_QUEUE_RUNNING;
	return error;
}

static void add_packed(struct death_world *world, uint16_t head,
		       uint16_t nr_desc)
{
	struct packed_side *side = &world->memory.driver;
	struct ring_buffer buffers[DEATH_SIZE] = { 0 };

	for (uint16_t i = 0; i < nr_desc; i++)
		buffers[i] = (struct ring_buffer){ RING_GUEST_BASE, 16, true };
	assert_in_range(nr_desc, 1, DEATH_SIZE);
	side->avail = world->driver->packed_avail;
	packed_memory_add(&world->memory, head, buffers, nr_desc);
	world->driver->packed_avail = side->avail;
}

/* All chains of a split ring are of one descriptor, which is their head. */
static void add_split(struct death_world *world, uint16_t head)
{
	struct ring_memory *ring = &world->memory.ring;
	const struct ring_buffer buffer = { RING_GUEST_BASE, 16, true };

	ring->avail_idx = world->driver->split_avail;
	ring_add(ring, head, &buffer, 1);
	world->driver->split_avail = ring->avail_idx;
}

/* In its place among the stores around it. */
static void set_busy(struct death_driver *driver, bool busy)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&driver->busy, busy, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void death_add(struct death_world *world, uint16_t head, uint16_t nr_desc)
{
	struct death_driver *driver = world->driver;
	unsigned int i = driver->nr_added;

	set_busy(driver, true);
	if (driver->is_packed)
		add_packed(world, head, nr_desc);
	else
		add_split(world, head);
	driver->requests[i].head = head;
	driver->requests[i].nr_desc = driver->is_packed ? nr_desc : 1;
	driver->nr_added++;
	set_busy(driver, false);
}

/* Which request of the driver's has this head; -1: none */
static int find(const struct death_driver *driver, uint32_t head)
{
	for (unsigned int i = 0; i < driver->nr_added; i++) {
		if (driver->requests[i].head == head &&
		    !driver->requests[i].seen)
			return (int)i;
	}
	return -1;
}

/* Returns false when nothing more is used; *head: of what is. */
static bool take_used(struct death_world *world, uint32_t *head)
{
	struct death_driver *driver = world->driver;
	struct packed_side *side = &world->memory.driver;
	struct pvirtq_desc used;
	uint32_t len;
	bool more;

	if (!driver->is_packed) {
		world->memory.ring.used_idx = driver->split_used;
		more = ring_take_used(&world->memory.ring, head, &len);
		driver->split_used = world->memory.ring.used_idx;
		return more;
	}
	side->used = driver->packed_used;
	if (!packed_side_take_used(side, &used))
		return false;
	*head = le16_get(used.id);
	return true;
}

void death_reap(struct death_world *world)
{
	struct death_driver *driver = world->driver;
	uint32_t head;
	int i;

	set_busy(driver, true);
	while (take_used(world, &head)) {
		i = find(driver, head);
		assert_true(i >= 0);
		driver->requests[i].seen = true;
		if (driver->is_packed)
			packed_side_advance(&driver->packed_used,
					    driver->requests[i].nr_desc,
					    DEATH_SIZE);
	}
	set_busy(driver, false);
}

int death_pop(struct death_world *world)
{
	struct rh_chain *chain;
	int result = rh_queue_pop(queue_of(world), &chain);
	int i;

	assert_true(result >= 0);
	if (!result)
		return -1;
	i = find(world->driver, chain->index);
	assert_true(i >= 0);
	assert_null(world->chains[i]);
	world->chains[i] = chain;
	return i;
}

void death_push(struct death_world *world, unsigned int i)
{
	assert_non_null(world->chains[i]);
	rh_queue_push(queue_of(world), world->chains[i], 0);
	world->chains[i] = NULL;
}

void death_flush(struct death_world *world)
{
	rh_queue_flush(queue_of(world));
}

unsigned int death_succeed(struct death_world *world)
{
	struct death_driver *driver = world->driver;
	unsigned int nr = 0;

	death_reap(world);
	assert_int_equal(death_start(world), 0);
	for (unsigned int i = 0; i < driver->nr_added; i++) {
		if (driver->requests[i].seen)
			continue;
		assert_true(rh_queue_pending(queue_of(world)));
		assert_int_equal(death_pop(world), i);
		nr++;
	}
	assert_int_equal(death_pop(world), -1);
	assert_false(rh_queue_pending(queue_of(world)));
	for (unsigned int i = driver->nr_added; i-- > 0;) {
		if (!driver->requests[i].seen)
			death_push(world, i);
	}
	death_flush(world);
	death_reap(world);
	assert_int_equal(find(driver, UINT32_MAX), -1);
	for (unsigned int i = 0; i < driver->nr_added; i++)
		assert_true(driver->requests[i].seen);
	assert_int_equal(queue_of(world)->record->nr_recorded, 0);
	return nr;
}

static void collect_remains(const struct death_world *world,
			    struct remains *remains)
{
	memcpy(remains->ring, world->memory.ring.bytes, DEATH_RING_BYTES);
	memcpy(remains->region, death_region(world), DEATH_REGION_BYTES);
	remains->driver = *world->driver;
}

static void lay_out_remains(struct death_world *world,
			    const struct remains *remains)
{
	memcpy(world->memory.ring.bytes, remains->ring, DEATH_RING_BYTES);
	memcpy(death_region(world), remains->region, DEATH_REGION_BYTES);
	*world->driver = remains->driver;
}

static void be_killed(struct death_world *world, death_story story)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(2);
	raise(SIGSTOP);
	story(world);
	_exit(0);
}

/* Returns the traced process, stopped at its beginning; -1 if not possible */
static pid_t fork_traced(struct death_world *world, death_story story)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		be_killed(world, story);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSTOPPED(status) ? pid : -1;
}

static bool step(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
		return false;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status))
		return true;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

static void one_successor(struct death_world *world)
{
	death_succeed(world);
}

static int kill_often(struct death_world *world, death_story story,
		      unsigned int nested);

/* nested: the successor is killed as well. */
static void bury(const struct remains *remains, bool nested)
{
	struct death_world world;

	death_world_init(&world, remains->driver.is_packed);
	lay_out_remains(&world, remains);
	if (nested)
		assert_true(kill_often(&world, one_successor, 0) > 0);
	else
		death_succeed(&world);
	death_world_deinit(&world);
}

/* nested: 0, or of how many successors one is killed */
static int kill_often(struct death_world *world, death_story story,
		      unsigned int nested)
{
	const bool level = nested != 0;
	static struct remains now[2];
	static struct remains last[2];
	pid_t pid = fork_traced(world, story);
	int nr = 0;

	if (pid < 0)
		return -1;
	memset(&last[level], 0xff, sizeof(last[level]));
	do {
		collect_remains(world, &now[level]);
		if (now[level].driver.busy ||
		    !memcmp(&now[level], &last[level], sizeof(last[level])))
			continue;
		last[level] = now[level];
		bury(&last[level], nested && nr % (int)nested == 0);
		nr++;
	} while (step(pid));
	return nr;
}

int death_at_each_step(bool is_packed, death_story story, unsigned int nested)
{
	struct death_world world;
	int nr;

	death_world_init(&world, is_packed);
	nr = kill_often(&world, story, nested);
	death_world_deinit(&world);
	return nr;
}
