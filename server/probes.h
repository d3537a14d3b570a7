/* SPDX-License-Identifier: MIT */
/*
 * probes - places where a tracer can look at a running server
 *
 * USDT probes, as systemtap, perf and bpftrace know them: a no-operation in
 * the code and a note in the program that says where it is and where its
 * arguments are, so that one that nobody looks at costs nothing to speak of.
 * Arguments are what is at hand anyway: nothing is worked out for a probe. In
 * a build without <sys/sdt.h> they are nothing at all.
 *
 *	kick(worker, queue)		the driver of a queue has called
 *	pop(name, queue, slot)		a request was taken out of the ring
 *	submit(slot, op, offset, bytes)	it goes to the driver of the storage
 *	complete(slot, type, status)	it is given back
 *	call(worker, queue)		the driver of a queue is called
 *
 * worker is the name of the thread, name that of the export, queue a number;
 * slot tells requests under way from each other. docs/tracing.md has examples.
 */
#ifndef SERVER_PROBES_H
#define SERVER_PROBES_H

#ifdef WITH_PROBES
#include <sys/sdt.h>

#define PROBE_KICK(worker, queue) DTRACE_PROBE2(ringhost, kick, worker, queue)
#define PROBE_POP(name, queue, slot)                                           \
	DTRACE_PROBE3(ringhost, pop, name, queue, slot)
#define PROBE_SUBMIT(slot, op, offset_bytes, bytes)                            \
	DTRACE_PROBE4(ringhost, submit, slot, op, offset_bytes, bytes)
#define PROBE_COMPLETE(slot, type, status)                                     \
	DTRACE_PROBE3(ringhost, complete, slot, type, status)
#define PROBE_CALL(worker, queue) DTRACE_PROBE2(ringhost, call, worker, queue)
#else
#define PROBE_KICK(worker, queue)		    ((void)0)
#define PROBE_POP(name, queue, slot)		    ((void)0)
#define PROBE_SUBMIT(slot, op, offset_bytes, bytes) ((void)0)
#define PROBE_COMPLETE(slot, type, status)	    ((void)0)
#define PROBE_CALL(worker, queue)		    ((void)0)
#endif

#endif
