/* SPDX-License-Identifier: MIT */
/*
 * jobs - what may take long is done beside the control thread
 *
 * Threads are detached: the last thing that one does is to put its job on the
 * list, under the lock, and to signal from there, so that who finds the job
 * also finds that its thread is done with everything that can be freed.
 */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/jobs.h"

/*
 * Those that run, for who looks for lost memory: the process may end before a
 * job does, whose storage does not answer.
 */
static struct job *running[JOBS_MAX];

static void enter(struct job *job)
{
	job->place = 0;
	while (job->place < JOBS_MAX && running[job->place])
		job->place++;
	if (job->place < JOBS_MAX)
		running[job->place] = job;
}

static void leave(const struct job *job)
{
	if (job->place < JOBS_MAX)
		running[job->place] = NULL;
}

static void *run_job(void *opaque)
{
	struct job *job = opaque;
	struct jobs *jobs = job->jobs;

	job->work(job);
	pthread_mutex_lock(&jobs->lock);
	list_append(&jobs->ended, &job->link);
	rh_eventfd_signal(jobs->fd);
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

static struct job *take_ended(struct jobs *jobs)
{
	struct list_node *node;

	pthread_mutex_lock(&jobs->lock);
	node = list_take_first(&jobs->ended);
	pthread_mutex_unlock(&jobs->lock);
	return node ? container_of(node, struct job, link) : NULL;
}

void jobs_finish(struct jobs *jobs)
{
	struct job *job;

	rh_eventfd_drain(jobs->fd);
	while ((job = take_ended(jobs))) {
		jobs->nr_running--;
		leave(job);
		job->done(job);
	}
}

static void some_ended(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	jobs_finish(container_of(watch, struct jobs, watch));
}

int jobs_init(struct jobs *jobs, struct loop *loop)
{
	int error;

	jobs->loop = loop;
	jobs->nr_running = 0;
	list_init(&jobs->ended);
	jobs->watch = (struct loop_watch){ .fd = -1, .ready = some_ended };
	jobs->fd = rh_eventfd_create();
	if (jobs->fd < 0)
		return jobs->fd;
	error = loop_add(loop, &jobs->watch, jobs->fd, EPOLLIN);
	if (error) {
		rh_fd_close(&jobs->fd);
		return error;
	}
	pthread_mutex_init(&jobs->lock, NULL);
	return 0;
}

void jobs_deinit(struct jobs *jobs)
{
	assert(!jobs->nr_running);
	loop_remove(jobs->loop, &jobs->watch);
	rh_fd_close(&jobs->fd);
	pthread_mutex_destroy(&jobs->lock);
}

static int start_thread(struct job *job)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, run_job, job);
	pthread_attr_destroy(&attributes);
	return -error;
}

int jobs_start(struct jobs *jobs, struct job *job)
{
	int error;

	if (jobs->nr_running == JOBS_MAX)
		return -EAGAIN;
	job->jobs = jobs;
	list_init(&job->link);
	enter(job);
	error = start_thread(job);
	if (error)
		leave(job);
	else
		jobs->nr_running++;
	return error;
}
