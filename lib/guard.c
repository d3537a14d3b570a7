/* SPDX-License-Identifier: MIT */
/*
 * guard - guest memory that its owner takes back
 *
 * The handler may run in any thread at any moment, so it takes no lock and
 * follows no pointer that can be freed: guards are kept in a list that only
 * grows, up to the largest number of mappings at one time, and are used again.
 * Whoever faults holds the map, and with it the guard whose range that is;
 * ranges of others may come and go while the list is walked.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <ringhost/device.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/guard.h"

struct rh_guard {
	struct rh_guard *next; /* fixed */
	atomic_bool taken;
	atomic_bool lost;
	atomic_int wake_fd;
	atomic_uintptr_t start;
	atomic_size_t size_bytes; /* 0: covers nothing */
};

static _Atomic(struct rh_guard *) guards;

static atomic_bool has_handler;

/* What SIGBUS meant before, for all that is not guest memory. */
static struct sigaction other_action;

static struct rh_guard *take_free(void)
{
	struct rh_guard *guard = atomic_load(&guards);

	while (guard && atomic_exchange(&guard->taken, true))
		guard = guard->next;
	return guard;
}

static struct rh_guard *add_one(void)
{
	struct rh_guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	atomic_store(&guard->taken, true);
	guard->next = atomic_load(&guards);
	while (!atomic_compare_exchange_weak(&guards, &guard->next, guard))
		;
	return guard;
}

int rh_guard_create(void *address, size_t size_bytes, int wake_fd,
		    struct rh_guard **ret)
{
	struct rh_guard *guard = take_free();

	if (!guard)
		guard = add_one();
	if (!guard)
		return -ENOMEM;
	atomic_store(&guard->lost, false);
	atomic_store(&guard->wake_fd, wake_fd);
	atomic_store(&guard->start, (uintptr_t)address);
	atomic_store(&guard->size_bytes, size_bytes);
	*ret = guard;
	return 0;
}

void rh_guard_release(struct rh_guard *guard)
{
	atomic_store(&guard->size_bytes, 0);
	atomic_store(&guard->taken, false);
}

bool rh_guard_lost(const struct rh_guard *guard)
{
	return atomic_load(&guard->lost);
}

/* A guard that is used again meanwhile covers what it did, or nothing. */
static bool covers(const struct rh_guard *guard, uintptr_t address)
{
	size_t size_bytes = atomic_load(&guard->size_bytes);
	uintptr_t start = atomic_load(&guard->start);

	return address - start < size_bytes &&
	       atomic_load(&guard->size_bytes) == size_bytes;
}

static struct rh_guard *find(uintptr_t address)
{
	struct rh_guard *guard = atomic_load(&guards);

	while (guard && !covers(guard, address))
		guard = guard->next;
	return guard;
}

/* The new pages get a guest's data, too: no core file is to have them. */
static bool map_over(void *start, size_t size_bytes, int flags, int fd)
{
	if (mmap(start, size_bytes, PROT_READ | PROT_WRITE,
		 flags | MAP_NORESERVE | MAP_FIXED, fd, 0) == MAP_FAILED)
		return false;
	madvise(start, size_bytes, MADV_DONTDUMP);
	return true;
}

/* Where pages cannot be replaced one by one: huge ones, or too many. */
static bool put_zeros(struct rh_guard *guard)
{
	return map_over((void *)atomic_load(&guard->start),
			atomic_load(&guard->size_bytes),
			MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/*
 * The rest is to go on failing for the kernel: what a guest has asked to be
 * written comes from there, and zeros are not what it meant.
 */
static bool put_zero_page(uintptr_t address)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	return map_over((void *)align_down(address, page_bytes), page_bytes,
			MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void note_loss(struct rh_guard *guard)
{
	int wake_fd = atomic_load(&guard->wake_fd);

	if (!atomic_exchange(&guard->lost, true) && wake_fd >= 0)
		rh_eventfd_signal(wake_fd);
}

/* A file without contents: each page lies behind its end. */
void rh_guard_revoke(struct rh_guard *guard)
{
	cleanup_close int fd = -1;

	if (atomic_load(&has_handler))
		fd = rh_memfd_create("revoked", 0);
	atomic_store(&guard->wake_fd, -1);
	if (fd < 0 ||
	    !map_over((void *)atomic_load(&guard->start),
		      atomic_load(&guard->size_bytes), MAP_SHARED, fd))
		put_zeros(guard);
	atomic_store(&guard->lost, true);
}

/* Returning runs the instruction again, with the action that is then set. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	if (other_action.sa_flags & SA_SIGINFO)
		other_action.sa_sigaction(signal, info, context);
	else if (other_action.sa_handler != SIG_DFL &&
		 other_action.sa_handler != SIG_IGN)
		other_action.sa_handler(signal);
	else
		sigaction(signal, &other_action, NULL);
}

static bool take_over(uintptr_t address)
{
	struct rh_guard *guard = find(address);

	if (!guard || (!put_zero_page(address) && !put_zeros(guard)))
		return false;
	note_loss(guard);
	return true;
}

static void take_fault(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	/* Above 0 it is of the kernel, not of kill(2). */
	if (info->si_code <= 0 || !take_over((uintptr_t)info->si_addr))
		pass_on(signal, info, context);
	errno = saved_errno;
}

int rh_device_guard_memory(void)
{
	struct sigaction action = {
		.sa_sigaction = take_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct sigaction before;

	if (sigaction(SIGBUS, NULL, &before) < 0)
		return -errno;
	if (before.sa_flags & SA_SIGINFO && before.sa_sigaction == take_fault)
		return 0;
	other_action = before;
	if (sigaction(SIGBUS, &action, NULL) < 0)
		return -errno;
	atomic_store(&has_handler, true);
	return 0;
}
