/* SPDX-License-Identifier: MIT */
/*
 * iothreads - the workers of the process, by name
 *
 * The first one shows whether this host allows io_uring.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/iothreads.h"

#define TAG "ringhost"

void iothreads_init(struct iothreads *iothreads, enum engine_kind engine,
		    bool engine_given)
{
	list_init(&iothreads->list);
	iothreads->engine = engine;
	iothreads->engine_given = engine_given;
}

void iothreads_remove(struct iothread *iothread)
{
	list_remove(&iothread->link);
	worker_destroy(iothread->worker);
	free(iothread->name);
	free(iothread);
}

void iothreads_deinit(struct iothreads *iothreads)
{
	list_for_each(node, &iothreads->list)
		iothreads_remove(iothread_of(node));
}

struct iothread *iothreads_find(struct iothreads *iothreads, const char *name)
{
	list_for_each(node, &iothreads->list) {
		if (!strcmp(iothread_of(node)->name, name))
			return iothread_of(node);
	}
	return NULL;
}

static bool is_refusal(int error)
{
	return error == -EPERM || error == -ENOSYS || error == -ENOMEM ||
	       error == -EACCES;
}

static int create_worker(struct iothreads *iothreads, const char *name,
			 unsigned int poll_usec, struct worker **ret)
{
	int error = worker_create(name, iothreads->engine, poll_usec, ret);

	if (!error || iothreads->engine != ENGINE_URING || !is_refusal(error))
		return error;
	if (iothreads->engine_given) {
		rh_log(RH_LOG_ERROR, name,
		       "this host does not allow io_uring (%s): see "
		       "/proc/sys/kernel/io_uring_disabled and the "
		       "container's seccomp profile, or pass --aio=threads",
		       strerror(-error));
		return error;
	}
	rh_log(RH_LOG_WARNING, name,
	       "this host does not allow io_uring (%s): a pool of threads does "
	       "the I/O instead, more slowly",
	       strerror(-error));
	if (list_empty(&iothreads->list))
		iothreads->engine = ENGINE_THREADS;
	return worker_create(name, ENGINE_THREADS, poll_usec, ret);
}

static int start(struct iothreads *iothreads, const char *name,
		 unsigned int poll_usec, struct worker **ret)
{
	int error = create_worker(iothreads, name, poll_usec, ret);

	if (!error)
		error = worker_start(*ret);
	if (error)
		rh_log(RH_LOG_ERROR, name, "cannot start an I/O thread: %s",
		       strerror(-error));
	return error;
}

int iothreads_add(struct iothreads *iothreads, const char *name,
		  unsigned int poll_usec)
{
	struct iothread *iothread;
	int error = -ENOMEM;

	if (iothreads_find(iothreads, name)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "attempt to add duplicate property '%s' to object (an "
		       "I/O thread has that name)",
		       name);
		return -EEXIST;
	}
	iothread = calloc(1, sizeof(*iothread));
	if (!iothread)
		return error;
	list_init(&iothread->link);
	iothread->poll_usec = poll_usec;
	iothread->name = strdup(name);
	if (iothread->name)
		error = start(iothreads, name, poll_usec, &iothread->worker);
	if (error) {
		iothreads_remove(iothread);
		return error;
	}
	list_append(&iothreads->list, &iothread->link);
	return 0;
}

struct iothread *iothreads_default(struct iothreads *iothreads)
{
	if (!iothreads_find(iothreads, IOTHREADS_DEFAULT) &&
	    iothreads_add(iothreads, IOTHREADS_DEFAULT, 0) < 0)
		return NULL;
	return iothreads_find(iothreads, IOTHREADS_DEFAULT);
}
