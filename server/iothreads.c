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
	iothreads->started = false;
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

struct iothread *iothreads_of(struct iothreads *iothreads,
			      const struct worker *worker)
{
	list_for_each(node, &iothreads->list) {
		if (iothread_of(node)->worker == worker)
			return iothread_of(node);
	}
	return NULL;
}

static int start(struct iothread *iothread)
{
	int error = worker_start(iothread->worker);

	if (error)
		rh_log(RH_LOG_ERROR, iothread->name,
		       "cannot start an I/O thread: %s", strerror(-error));
	return error;
}

int iothreads_start(struct iothreads *iothreads)
{
	int error = 0;

	list_for_each(node, &iothreads->list) {
		if (!error)
			error = start(iothread_of(node));
	}
	iothreads->started = !error;
	return error;
}

static int make(struct iothreads *iothreads, struct iothread *iothread)
{
	bool settled = iothreads->engine_given || !list_empty(&iothreads->list);
	int error =
		worker_create_or_fall_back(iothread->name, &iothreads->engine,
					   settled, iothread->poll_usec,
					   &iothread->worker);

	return error || !iothreads->started ? error : start(iothread);
}

static struct iothread *allocate(const char *name, unsigned int poll_usec)
{
	struct iothread *iothread = calloc(1, sizeof(*iothread));

	if (!iothread)
		return NULL;
	list_init(&iothread->link);
	iothread->poll_usec = poll_usec;
	iothread->name = strdup(name);
	if (iothread->name)
		return iothread;
	free(iothread);
	return NULL;
}

int iothreads_add(struct iothreads *iothreads, const char *name,
		  unsigned int poll_usec)
{
	struct iothread *iothread;
	int error;

	if (iothreads_find(iothreads, name)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "attempt to add duplicate property '%s' to object (an "
		       "I/O thread has that name)",
		       name);
		return -EEXIST;
	}
	iothread = allocate(name, poll_usec);
	if (!iothread) {
		rh_log(RH_LOG_ERROR, TAG, "out of memory");
		return -ENOMEM;
	}
	error = make(iothreads, iothread);
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
