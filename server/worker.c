/* SPDX-License-Identifier: MIT */
/*
 * worker - the thread, and the control thread's side of it
 *
 * The two talk through a pipe of commands, each written whole, so that there
 * is no lock. nr_queues and thread_runs are the control thread's; all else
 * belongs to the worker's thread as soon as that runs, which has ended when
 * worker_destroy() takes it apart.
 *
 * A worker quits by letting go of its pipe: what was said before is done.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/worker_internal.h"

#define MAX_COMMANDS	 32 /* read at a time */
#define MEMORY_WAIT_MSEC 1

enum command_kind {
	COMMAND_START,
	COMMAND_STOP,
	COMMAND_LOOK_AGAIN,
	COMMAND_QUIT,
};

/* What goes through the pipe, whole (pipe(7), PIPE_BUF). */
struct command {
	enum command_kind kind;
	struct worker_queue *queue;
};

/* Its own is the one name that a thread can give without /proc. */
static cold_code void take_name(struct worker *worker)
{
	atomic_store(&worker->thread_id, gettid());
	pthread_setname_np(pthread_self(), worker->name);
}

/* The first turn shows whether the engine works in this thread. */
static cold_code bool try_engine(struct worker *worker)
{
	int result = engine_turn(worker->engine, false);

	worker->begin_error = MIN(result, 0);
	sem_post(&worker->begun);
	return result >= 0;
}

static void *run_thread(void *opaque)
{
	struct worker *worker = opaque;

	take_name(worker);
	if (!try_engine(worker))
		return NULL;
	while (!worker->quit)
		worker_run_turn(worker);
	return NULL;
}

static void obey(struct worker *worker, const struct command *command)
{
	switch (command->kind) {
	case COMMAND_START:
		worker_queue_open(command->queue);
		break;
	case COMMAND_STOP:
		worker_queue_close(command->queue);
		break;
	case COMMAND_LOOK_AGAIN:
		/* as the turn that follows does */
		atomic_exchange(&worker->told_to_look, false);
		break;
	case COMMAND_QUIT:
		assert(list_empty(&worker->contexts));
		assert(list_empty(&worker->drained));
		engine_unwatch(worker->engine, &worker->commands);
		break;
	}
}

static void read_commands(struct engine_watch *watch)
{
	struct worker *worker = container_of(watch, struct worker, commands);
	struct command commands[MAX_COMMANDS];
	ssize_t bytes;

	for (;;) {
		bytes = read(watch->fd, commands, sizeof(commands));
		if (bytes < 0 && errno == EINTR)
			continue; /* nobody would say again that they are there */
		if (bytes <= 0)
			break;
		assert(bytes % (ssize_t)sizeof(*commands) == 0);
		for (ssize_t i = 0; i < bytes / (ssize_t)sizeof(*commands); i++)
			obey(worker, &commands[i]);
	}
}

static void note_quit(struct engine_watch *watch)
{
	container_of(watch, struct worker, commands)->quit = true;
}

static int send_command(struct worker *worker, enum command_kind kind,
			struct worker_queue *queue)
{
	struct command command = { .kind = kind, .queue = queue };
	ssize_t bytes;

	do {
		bytes = write(worker->command_fds[1], &command,
			      sizeof(command));
	} while (bytes < 0 && errno == EINTR);
	return bytes < 0 ? -errno : 0;
}

/*
 * A pipe takes memory of the host for what is in it. A command that ends
 * something must arrive, so it waits for that.
 */
static void insist_on_command(struct worker *worker, enum command_kind kind,
			      struct worker_queue *queue)
{
	int result;

	while ((result = send_command(worker, kind, queue)) == -ENOMEM)
		poll(NULL, 0, MEMORY_WAIT_MSEC);
	assert(result == 0);
}

/* All signals are the control thread's, but for faults in guest memory. */
int worker_start(struct worker *worker)
{
	sigset_t all;
	sigset_t before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&worker->thread, NULL, run_thread, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	while (sem_wait(&worker->begun) < 0)
		;
	if (worker->begin_error)
		pthread_join(worker->thread, NULL);
	else
		worker->thread_runs = true;
	return worker->begin_error;
}

static int set_up(struct worker *worker, enum engine_kind kind)
{
	int result;

	if (pipe2(worker->command_fds, O_CLOEXEC) < 0)
		return -errno;
	result = rh_fd_set_nonblocking(worker->command_fds[0]);
	if (result < 0)
		return result;
	result = engine_create(kind, &worker->engine);
	if (result < 0)
		return result;
	worker->commands.fd = worker->command_fds[0];
	worker->commands.ready = read_commands;
	worker->commands.removed = note_quit;
	return engine_watch(worker->engine, &worker->commands);
}

int worker_create(const char *name, enum engine_kind kind,
		  unsigned int poll_usec, struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int result;

	if (!worker)
		return -ENOMEM;
	snprintf(worker->name, sizeof(worker->name), "%s", name);
	sem_init(&worker->begun, 0, 0);
	worker->command_fds[0] = -1;
	worker->command_fds[1] = -1;
	worker->turn = 1;
	polling_init(&worker->polling, poll_usec);
	list_init(&worker->active);
	list_init(&worker->drained);
	list_init(&worker->contexts);
	result = set_up(worker, kind);
	if (result < 0) {
		worker_destroy(worker);
		return result;
	}
	*ret = worker;
	return 0;
}

/* Of a host that does not allow io_uring. */
static bool is_refusal(int error)
{
	return error == -EPERM || error == -ENOSYS || error == -ENOMEM ||
	       error == -EACCES;
}

static int create_or_say_why(const char *name, enum engine_kind kind,
			     unsigned int poll_usec, struct worker **ret)
{
	int error = worker_create(name, kind, poll_usec, ret);

	if (error && (kind != ENGINE_URING || !is_refusal(error)))
		rh_log(RH_LOG_ERROR, name, "cannot make a worker: %s",
		       strerror(-error));
	return error;
}

int worker_create_or_fall_back(const char *name, enum engine_kind *kind,
			       bool kind_given, unsigned int poll_usec,
			       struct worker **ret)
{
	int error = create_or_say_why(name, *kind, poll_usec, ret);

	if (!error || *kind != ENGINE_URING || !is_refusal(error))
		return error;
	if (kind_given) {
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
	*kind = ENGINE_THREADS;
	return create_or_say_why(name, *kind, poll_usec, ret);
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	assert(!worker->nr_queues);
	if (worker->thread_runs) {
		insist_on_command(worker, COMMAND_QUIT, NULL);
		pthread_join(worker->thread, NULL);
	}
	engine_destroy(worker->engine);
	rh_fd_close(&worker->command_fds[0]);
	rh_fd_close(&worker->command_fds[1]);
	sem_destroy(&worker->begun);
	free(worker);
}

const char *worker_engine_name(const struct worker *worker)
{
	return engine_name(worker->engine);
}

int worker_queue_start(struct worker *worker, struct rh_queue *queue,
		       struct virtio_blk *blk, struct driver *driver)
{
	struct worker_queue *started = calloc(1, sizeof(*started));
	int result;

	if (!started)
		return -ENOMEM;
	started->worker = worker;
	started->queue = queue;
	started->number = rh_queue_index(queue);
	started->blk = blk;
	started->driver = driver;
	list_init(&started->link);
	result = send_command(worker, COMMAND_START, started);
	if (result < 0) {
		free(started);
		return result;
	}
	rh_queue_set_data(queue, started);
	worker->nr_queues++;
	return 0;
}

void worker_queue_stop(struct worker *worker, struct rh_queue *queue,
		       void (*given_back)(void *opaque), void *opaque)
{
	struct worker_queue *started = rh_queue_data(queue);

	started->given_back = given_back;
	started->opaque = opaque;
	insist_on_command(worker, COMMAND_STOP, started);
	worker->nr_queues--;
}

void worker_look_again(struct worker *worker)
{
	/* Told once is enough, and one that hangs has not filled its pipe. */
	if (worker->thread_runs &&
	    !atomic_exchange(&worker->told_to_look, true))
		insist_on_command(worker, COMMAND_LOOK_AGAIN, NULL);
}

pid_t worker_thread_id(const struct worker *worker)
{
	return atomic_load(&worker->thread_id);
}

unsigned int worker_nr_queues(const struct worker *worker)
{
	return worker->nr_queues;
}
