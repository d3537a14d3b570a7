/* SPDX-License-Identifier: MIT */
/*
 * watch - how often this process reads each byte of some memory
 *
 * A fault opens the page and sets the trap flag; the trap behind the one
 * instruction closes it again. Whether it was a read is in the page fault's
 * error code, how long it was in the instruction. One that reaches into a
 * second page faults once more, and is noted once.
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/race/operand.h"
#include "tests/race/watch.h"

void *__wrap_memcpy(void *to, const void *from, size_t bytes);

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	volatile uint8_t *target = to;
	const volatile uint8_t *source = from;

	for (size_t i = 0; i < bytes; i++)
		target[i] = source[i];
	return to;
}

#define TRAP_FLAG     0x100
#define FAULT_WRITES  2
#define LONGEST_BYTES 16

static struct watch *active;
static struct sigaction before[2];

/* Only what may be called in a handler: this is no assert(). */
static void give_up(const char *why)
{
	ssize_t ignored = write(STDERR_FILENO, why, strlen(why));

	(void)ignored;
	_exit(1);
}

static struct watch_range *find(const struct watch *watch, const uint8_t *byte)
{
	for (unsigned int i = 0; i < watch->nr_ranges; i++) {
		const struct watch_range *range = &watch->ranges[i];

		if (byte >= range->start && byte < range->start + range->bytes)
			return (struct watch_range *)range;
	}
	return NULL;
}

static void protect(const struct watch *watch, int protection)
{
	for (unsigned int i = 0; i < watch->nr_ranges; i++)
		if (mprotect(watch->ranges[i].start, watch->ranges[i].bytes,
			     protection) < 0)
			give_up("# mprotect() failed\n");
}

static void note(struct watch *watch)
{
	for (unsigned int i = 0; i < watch->access.bytes; i++) {
		uint8_t *byte = watch->access.start + i;
		struct watch_range *range = find(watch, byte);
		uint8_t *counts;

		if (!range)
			continue;
		counts = watch->access.writes ? range->writes : range->reads;
		counts[byte - range->start]++;
	}
}

static void take_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct watch *watch = active;
	uint8_t *byte = info->si_addr;

	if (!watch || !find(watch, byte)) {
		sigaction(signal, &before[0], NULL);
		return;
	}
	protect(watch, PROT_READ | PROT_WRITE);
	if (watch->access.start)
		give_up("# a fault where none can be\n");
	watch->access.start = byte;
	watch->access.code = (uintptr_t)registers[REG_RIP];
	watch->access.writes = registers[REG_ERR] & FAULT_WRITES;
	watch->access.bytes = operand_bytes((void *)watch->access.code);
	if (!watch->access.bytes || watch->access.bytes > LONGEST_BYTES)
		give_up("# an instruction whose operand is not known\n");
	registers[REG_EFL] |= TRAP_FLAG;
}

static void take_trap(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct watch *watch = active;
	uint8_t *start;

	(void)info;
	if (!watch || !watch->access.start) {
		sigaction(signal, &before[1], NULL);
		return;
	}
	start = watch->access.start;
	registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	watch->access.start = NULL;
	protect(watch, PROT_NONE);
	watch->access.start = start;
	note(watch);
	watch->access.start = NULL;
	if (!watch->access.writes && watch->was_read)
		watch->was_read(watch, start, watch->access.bytes);
	if (watch->was_accessed)
		watch->was_accessed(watch, start, watch->access.bytes,
				    watch->access.writes);
}

void watch_begin(struct watch *watch)
{
	struct sigaction fault = {
		.sa_sigaction = take_fault,
		.sa_flags = SA_SIGINFO,
	};
	struct sigaction trap = {
		.sa_sigaction = take_trap,
		.sa_flags = SA_SIGINFO,
	};

	assert(!active);
	active = watch;
	sigaction(SIGSEGV, &fault, &before[0]);
	sigaction(SIGTRAP, &trap, &before[1]);
	protect(watch, PROT_NONE);
}

void watch_end(struct watch *watch)
{
	assert(active == watch);
	protect(watch, PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &before[0], NULL);
	sigaction(SIGTRAP, &before[1], NULL);
	active = NULL;
}

void watch_add(struct watch *watch, void *start, size_t bytes)
{
	struct watch_range *range = &watch->ranges[watch->nr_ranges++];

	assert(watch->nr_ranges <= WATCH_MAX_RANGES);
	assert(is_aligned((uintptr_t)start | bytes,
			  (uintptr_t)sysconf(_SC_PAGESIZE)));
	*range = (struct watch_range){
		.start = start,
		.bytes = bytes,
		.reads = calloc(1, bytes),
		.writes = calloc(1, bytes),
	};
	assert(range->reads && range->writes);
}

void watch_deinit(struct watch *watch)
{
	for (unsigned int i = 0; i < watch->nr_ranges; i++) {
		free(watch->ranges[i].reads);
		free(watch->ranges[i].writes);
	}
	watch->nr_ranges = 0;
}

unsigned int watch_reads(const struct watch *watch, const void *byte)
{
	const struct watch_range *range = find(watch, byte);

	assert(range);
	return range->reads[(const uint8_t *)byte - range->start];
}

unsigned int watch_writes(const struct watch *watch, const void *byte)
{
	const struct watch_range *range = find(watch, byte);

	assert(range);
	return range->writes[(const uint8_t *)byte - range->start];
}
