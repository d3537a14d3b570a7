/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread, one engine, its queues; the turn
 *
 * A queue is on the active list from the moment at which something may have
 * happened to it (a kick, its start, a completion) until it was looked at
 * with kicks expected again. Only active queues are touched, and only when
 * none is left that knows of more work does the turn sleep.
 *
 * The flush comes after the take, so that one store of the used index covers
 * what the last turn completed and what this take answered at once; the
 * signal goes to the kernel together with the new requests.
 *
 * A worker that is told to poll takes turns that do not sleep as long as
 * polling.c thinks that it pays: queues stay active, with kicks suppressed,
 * and such a turn looks at their rings and the engine's completions in memory.
 *
 * A queue that stops passes through three phases. It is given back when its
 * requests have ended, its kick fd is watched no more, and the turn that
 * carried its last signal has returned.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/nsec.h"
#include "common/peerfd.h"
#include "server/polling.h"
#include "server/worker.h"

#define NAME_BYTES   16 /* of a thread, with its NUL */
#define MAX_COMMANDS 32 /* read at a time */

/*
 * What a queue may take in a turn, in units of blk_queue_take(): as much as
 * makes a turn's own cost small, and no more, since a request that arrives
 * meanwhile in another queue waits for all of it.
 */
#define BUDGET 32

enum command_kind {
	COMMAND_START,
	COMMAND_STOP,
	COMMAND_QUIT,
};

/* What goes through the pipe, whole (pipe(7), PIPE_BUF). */
struct command {
	enum command_kind kind;
	struct worker_queue *queue;
};

/* What the worker has of one driver, as long as a queue of it runs. */
struct context {
	struct list_node link;
	struct driver *driver;		 /* not owned */
	struct driver_context *attached; /* owned */
	unsigned int nr_queues;
};

struct worker {
	/* Fixed */
	char name[NAME_BYTES];
	struct engine *engine;
	pthread_t thread;
	int command_fds[2]; /* read, write */

	/* The control thread's */
	unsigned int nr_queues;
	bool thread_runs;

	/* The worker's thread's */
	uint64_t turn;
	struct list_node active;  /* struct worker_queue, phase below DRAINED */
	struct list_node drained; /* struct worker_queue, phase DRAINED */
	struct list_node contexts;
	struct engine_watch commands;
	struct polling polling;
	bool found; /* something to do, since it was last asked */
	bool quit;
};

enum phase {
	PHASE_RUNNING,
	PHASE_STOPPING, /* takes nothing more, requests are under way */
	PHASE_DRAINED,	/* touches the ring no more */
};

struct worker_queue {
	struct worker *worker; /* not owned, like the next three */
	struct rh_queue *queue;
	struct virtio_blk *blk;
	struct driver *driver;
	struct context *context;     /* counted; NULL if the start failed */
	struct blk_queue *blk_queue; /* NULL if it could not be made */
	struct engine_watch kick;
	bool watching;
	bool served; /* at least once since it started */
	bool spent;  /* its budget of this turn, and there is more */
	enum phase phase;
	uint64_t signal_turn; /* in which it last signalled the driver */
	struct list_node link;
};

static struct worker_queue *queue_of(struct list_node *node)
{
	return container_of(node, struct worker_queue, link);
}

static void set_phase(struct worker_queue *queue, enum phase phase)
{
	assert(phase == queue->phase + 1);
	queue->phase = phase;
}

static void activate(struct worker_queue *queue)
{
	if (list_empty(&queue->link))
		list_append(&queue->worker->active, &queue->link);
}

/* A request of this queue has completed. */
static void note_progress(void *opaque)
{
	struct worker_queue *queue = opaque;

	queue->worker->found = true;
	activate(queue);
}

static void note_kick(struct engine_watch *watch)
{
	struct worker_queue *queue =
		container_of(watch, struct worker_queue, kick);

	if (queue->phase == PHASE_RUNNING)
		activate(queue);
}

static void note_unwatched(struct engine_watch *watch)
{
	container_of(watch, struct worker_queue, kick)->watching = false;
}

static int get_context(struct worker *worker, struct driver *driver,
		       struct context **ret)
{
	struct context *context;
	int result;

	list_for_each(node, &worker->contexts) {
		context = container_of(node, struct context, link);
		if (context->driver == driver) {
			context->nr_queues++;
			*ret = context;
			return 0;
		}
	}
	context = calloc(1, sizeof(*context));
	if (!context)
		return -ENOMEM;
	result =
		driver->ops->attach(driver, worker->engine, &context->attached);
	if (result < 0) {
		free(context);
		return result;
	}
	context->driver = driver;
	context->nr_queues = 1;
	list_append(&worker->contexts, &context->link);
	*ret = context;
	return 0;
}

static void put_context(struct context *context)
{
	if (!context || --context->nr_queues)
		return;
	context->driver->ops->detach(context->attached);
	list_remove(&context->link);
	free(context);
}

static int watch_kicks(struct worker_queue *queue)
{
	int fd = rh_queue_kick_fd(queue->queue);
	int result;

	if (fd < 0)
		return 0;
	queue->kick.fd = fd;
	queue->kick.ready = note_kick;
	queue->kick.removed = note_unwatched;
	result = engine_watch(queue->worker->engine, &queue->kick);
	queue->watching = result == 0;
	return result;
}

static int try_start(struct worker_queue *queue)
{
	int result;

	result = get_context(queue->worker, queue->driver, &queue->context);
	if (result < 0)
		return result;
	result = blk_queue_create(queue->blk, queue->queue,
				  queue->context->attached, note_progress,
				  queue, &queue->blk_queue);
	if (result < 0)
		return result;
	return watch_kicks(queue);
}

/* A queue whose start fails does nothing until it is stopped. */
static void start_queue(struct worker_queue *queue)
{
	char why[80];
	int result = try_start(queue);

	if (result == 0) {
		activate(queue);
		return;
	}
	snprintf(why, sizeof(why), "%s cannot serve it: %s",
		 queue->worker->name, strerror(-result));
	rh_queue_fail(queue->queue, why);
}

static void drain_queue(struct worker_queue *queue)
{
	set_phase(queue, PHASE_DRAINED);
	list_remove(&queue->link);
	list_append(&queue->worker->drained, &queue->link);
}

static void stop_queue(struct worker_queue *queue)
{
	set_phase(queue, PHASE_STOPPING);
	if (queue->watching)
		engine_unwatch(queue->worker->engine, &queue->kick);
	if (queue->blk_queue)
		activate(queue);
	else
		drain_queue(queue);
}

/* What the control thread does next may free all that the queue stood on. */
static void give_back(struct worker_queue *queue)
{
	struct rh_queue *given_back = queue->queue;
	int kick_fd = rh_queue_kick_fd(given_back);

	list_remove(&queue->link);
	blk_queue_destroy(queue->blk_queue);
	put_context(queue->context);
	/* Kicks are looked at when the queue starts; whoever has it next
	 * must not find ours. */
	if (kick_fd >= 0)
		rh_peerfd_drain(kick_fd);
	free(queue);
	rh_queue_stopped(given_back);
}

static void signal_driver(struct worker_queue *queue)
{
	int fd = rh_queue_call_fd(queue->queue);

	if (fd < 0)
		return;
	engine_signal(queue->worker->engine, fd);
	queue->signal_turn = queue->worker->turn;
}

/*
 * A queue that is to stop right after its start is served once all the same:
 * a front-end that changes memory again and again must not starve its guest.
 * And it is served as long as it owes what an earlier back-end has begun,
 * unless the front-end keeps that.
 */
static bool may_take(const struct worker_queue *queue)
{
	if (queue->phase == PHASE_RUNNING)
		return true;
	return !rh_queue_may_abandon(queue->queue) &&
	       (!queue->served || rh_queue_owes(queue->queue));
}

/* Take and flush. Returns true when there is more to take at once. */
static bool serve(struct worker_queue *queue)
{
	unsigned int budget = BUDGET;

	queue->spent = false;
	if (may_take(queue)) {
		queue->served = true;
		rh_queue_suppress_kicks(queue->queue);
		queue->spent = blk_queue_take(queue->blk_queue, &budget);
		queue->worker->found |= budget != BUDGET;
	} else if (rh_queue_may_abandon(queue->queue)) {
		blk_queue_abandon(queue->blk_queue);
	} else {
		blk_queue_retry(queue->blk_queue);
	}
	if (blk_queue_flush(queue->blk_queue))
		signal_driver(queue);
	if (queue->phase == PHASE_STOPPING &&
	    !blk_queue_under_way(queue->blk_queue) && !may_take(queue))
		drain_queue(queue);
	return queue->spent;
}

/* Whoever asks for little goes first, so that its signal does, too. */
static void let_others_go_first(struct worker *worker)
{
	list_for_each(node, &worker->active) {
		if (!queue_of(node)->spent)
			continue;
		queue_of(node)->spent = false; /* it comes by once more */
		list_remove(node);
		list_append(&worker->active, node);
	}
}

/*
 * Leave the active list if nothing is left to do. Returns true when the turn
 * must not sleep. With a busy driver the queue stays, and does not stand in
 * the way of sleep: what makes room also ends it.
 */
static bool rest(struct worker_queue *queue)
{
	if (blk_queue_waits(queue->blk_queue))
		return false;
	if (queue->phase == PHASE_RUNNING && !rh_queue_broken(queue->queue) &&
	    (!queue->watching || rh_queue_expect_kicks(queue->queue)))
		return true;
	list_remove(&queue->link);
	return false;
}

static enum polling_wait what_is_waited_for(const struct worker *worker)
{
	list_for_each(node, &worker->active) {
		if (blk_queue_under_way(queue_of(node)->blk_queue))
			return POLLING_FOR_STORAGE;
	}
	return POLLING_FOR_DRIVER;
}

/* Nothing is left to take: is it worth while to look again? */
static bool polls(struct worker *worker)
{
	uint64_t now;

	if (likely(!polling_is_on(&worker->polling)))
		return false;
	if (list_empty(&worker->active) && !worker->found)
		return false;
	now = nsec_now();
	if (worker->found)
		polling_found(&worker->polling, now);
	worker->found = false;
	return polling_look(&worker->polling, what_is_waited_for(worker), now);
}

/* Both return true when the turn must not sleep. */
static bool serve_active(struct worker *worker)
{
	bool awake = false;

	list_for_each(node, &worker->active)
		awake |= serve(queue_of(node));
	if (awake)
		let_others_go_first(worker);
	if (awake || polls(worker))
		return true;
	list_for_each(node, &worker->active)
		awake |= rest(queue_of(node));
	return awake;
}

static bool give_back_drained(struct worker *worker)
{
	bool awake = false;

	list_for_each(node, &worker->drained) {
		struct worker_queue *queue = queue_of(node);

		if (queue->signal_turn == worker->turn)
			awake = true;
		else if (!queue->watching)
			give_back(queue);
	}
	return awake;
}

static void run_turn(struct worker *worker)
{
	bool awake = serve_active(worker);
	int result;

	awake |= give_back_drained(worker);
	result = engine_turn(worker->engine, !awake);
	if (result < 0) {
		rh_log(RH_LOG_ERROR, worker->name,
		       "%s has failed and requests are lost, restart the "
		       "server: %s",
		       engine_name(worker->engine), strerror(-result));
		abort();
	}
	worker->turn++;
}

static void *run_thread(void *opaque)
{
	struct worker *worker = opaque;

	while (!worker->quit)
		run_turn(worker);
	return NULL;
}

static void obey(struct worker *worker, const struct command *command)
{
	switch (command->kind) {
	case COMMAND_START:
		start_queue(command->queue);
		break;
	case COMMAND_STOP:
		stop_queue(command->queue);
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

	while ((bytes = read(watch->fd, commands, sizeof(commands))) > 0) {
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

/* All signals are the control thread's, but for faults in guest memory. */
static int start_thread(struct worker *worker)
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
	pthread_setname_np(worker->thread, worker->name);
	worker->thread_runs = true;
	return 0;
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
	result = engine_watch(worker->engine, &worker->commands);
	if (result < 0)
		return result;
	return start_thread(worker);
}

int worker_create(const char *name, enum engine_kind kind,
		  unsigned int poll_usec, struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int result;

	if (!worker)
		return -ENOMEM;
	snprintf(worker->name, sizeof(worker->name), "%s", name);
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

void worker_destroy(struct worker *worker)
{
	int result;

	if (!worker)
		return;
	assert(!worker->nr_queues);
	if (worker->thread_runs) {
		result = send_command(worker, COMMAND_QUIT, NULL);
		assert(result == 0);
		pthread_join(worker->thread, NULL);
	}
	engine_destroy(worker->engine);
	rh_fd_close(&worker->command_fds[0]);
	rh_fd_close(&worker->command_fds[1]);
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

void worker_queue_stop(struct worker *worker, struct rh_queue *queue)
{
	struct worker_queue *started = rh_queue_data(queue);
	int result = send_command(worker, COMMAND_STOP, started);

	assert(result == 0);
	worker->nr_queues--;
}

unsigned int worker_nr_queues(const struct worker *worker)
{
	return worker->nr_queues;
}
