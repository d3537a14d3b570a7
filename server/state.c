/* SPDX-License-Identifier: MIT */
/*
 * state - a directory of what was added at run time, one file for each
 *
 * The directory is held open, so all is done below a descriptor.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/state_internal.h"

#define TAG "state"

static const char *const words[] = {
	[CONFIG_OBJECT] = "object",
	[CONFIG_NODE] = "blockdev",
	[CONFIG_EXPORT] = "export",
};

static struct state_task *first_task(struct state *state)
{
	return container_of(state->tasks.next, struct state_task, link);
}

const char *state_path(const struct state *state)
{
	return state->path;
}

/* No other process has the same, in case it has begun while this one ends. */
static void name_unfinished(unsigned int nr, char name[48])
{
	snprintf(name, 48, STATE_UNFINISHED "%ld-%u", (long)getpid(), nr);
}

static int write_whole(int fd, const char *text)
{
	size_t nr = strlen(text);

	while (nr) {
		ssize_t done = write(fd, text, nr);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -ENOSPC;
		text += done;
		nr -= (size_t)done;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_unfinished(const struct state *state, const char *name,
			    const char *text)
{
	cleanup_close int fd =
		openat(state->fd, name,
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		       0600);
	int error = fd < 0 ? -errno : write_whole(fd, text);

	if (error && fd >= 0)
		unlinkat(state->fd, name, 0);
	return error;
}

/* A name that has changed is there for good when the directory is. */
static int settle(const struct state *state, int result)
{
	if (result == 0)
		result = fsync(state->fd);
	return result < 0 ? -errno : 0;
}

static int remove_file(const struct state *state, const char *name)
{
	int result = unlinkat(state->fd, name, 0);

	return result < 0 && errno == ENOENT ? 0 : settle(state, result);
}

static int carry_out(struct state *state, const struct state_task *task)
{
	char unfinished[48];

	name_unfinished(task->written, unfinished);
	switch (task->verb) {
	case STATE_WRITE:
		return write_unfinished(state, unfinished, task->text);
	case STATE_KEEP:
		return settle(state, renameat(state->fd, unfinished, state->fd,
					      task->name));
	case STATE_DROP:
		unlinkat(state->fd, unfinished, 0);
		return 0;
	case STATE_REMOVE:
		return remove_file(state, task->name);
	}
	return -EINVAL;
}

/* In a thread of its own */
static void work(struct job *job)
{
	struct state *state = container_of(job, struct state, job);
	struct state_task *task = first_task(state);

	task->error = carry_out(state, task);
}

static void worked(struct job *job);

/* What gets no thread fails, rather than have a client wait for ever. */
static void begin_next(struct state *state)
{
	while (!state->is_working && !list_empty(&state->tasks)) {
		struct state_task *task = first_task(state);
		int error;

		state->job = (struct job){ .work = work, .done = worked };
		state->is_working = true;
		error = jobs_start(state->jobs, &state->job);
		if (!error)
			continue; /* the task is its thread's now */
		state->is_working = false;
		task->error = error;
		list_remove(&task->link);
		task->done(task);
	}
}

static void worked(struct job *job)
{
	struct state *state = container_of(job, struct state, job);
	struct state_task *task = first_task(state);

	list_remove(&task->link);
	state->is_working = false;
	task->done(task);
	begin_next(state);
}

void state_start(struct state *state, struct state_task *task)
{
	if (task->verb == STATE_WRITE)
		task->written = ++state->nr_written;
	list_append(&state->tasks, &task->link);
	begin_next(state);
}

/* Any name becomes that of a file: what is unusual in "%20". */
int state_name(enum config_kind kind, const char *name,
	       char ret[STATE_NAME_BYTES])
{
	size_t nr = (size_t)snprintf(ret, STATE_NAME_BYTES, "%s-", words[kind]);

	for (; *name; name++) {
		bool is_usual =
			isalnum((unsigned char)*name) || strchr("-_.", *name);

		if (nr + 3 + sizeof(STATE_SUFFIX) > STATE_NAME_BYTES)
			return -ENAMETOOLONG;
		nr += (size_t)snprintf(ret + nr, STATE_NAME_BYTES - nr,
				       is_usual ? "%c" : "%%%02X",
				       (unsigned char)*name);
	}
	snprintf(ret + nr, STATE_NAME_BYTES - nr, STATE_SUFFIX);
	return 0;
}

char *state_text(enum config_kind kind, json_t *arguments)
{
	json_t *object =
		json_pack("{s:s,s:O}", "execute", config_verbs[kind].add,
			  "arguments", arguments);
	char *text = json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	json_decref(object);
	return text;
}

int state_open(struct jobs *jobs, const char *path, struct state **ret)
{
	struct state *state = calloc(1, sizeof(*state));
	int error = -ENOMEM;

	if (!state)
		return error;
	state->jobs = jobs;
	state->fd = -1;
	state->lock_fd = -1;
	list_init(&state->tasks);
	state->path = strdup(path);
	if (state->path)
		error = state_open_directory(state);
	if (error) {
		rh_log(RH_LOG_ERROR, TAG, "cannot use %s: %s", path,
		       strerror(-error));
		state_close(state);
		return error;
	}
	*ret = state;
	return 0;
}

void state_close(struct state *state)
{
	if (!state || state->is_working)
		return;
	state_unlock(state);
	rh_fd_close(&state->fd);
	free(state->path);
	free(state);
}
