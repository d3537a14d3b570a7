/* SPDX-License-Identifier: MIT */
/*
 * commands_drain - the requests of a disk are waited for, or held back
 *
 * Both are answered when all that was under way has ended. A drain then has
 * the image flushed, which is a job, since its storage may take long.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/export_drain.h"
#include "server/commands.h"
#include "server/complaint.h"

struct draining {
	struct export_drain drain;
	struct job job;
	struct daemon *daemon;
	struct qmp_call *call;
	struct node *node; /* that has the image; the job counts there */
	int error;
	char why[QMP_WHY_BYTES];
};

static void flush(struct job *job)
{
	struct draining *draining = container_of(job, struct draining, job);

	complaint_begin();
	draining->error = node_flush(draining->node);
	if (draining->error)
		snprintf(draining->why, sizeof(draining->why),
			 "the image cannot be flushed: %s",
			 complaint_text(draining->error));
}

static void end_drain(struct draining *draining)
{
	draining->node->nr_jobs--;
	if (draining->error)
		qmp_refuse(draining->call, "%s", draining->why);
	else
		qmp_return(draining->call, NULL);
	free(draining);
}

static void flushed(struct job *job)
{
	end_drain(container_of(job, struct draining, job));
}

static void flush_beside(struct export_drain *drain)
{
	struct draining *draining = container_of(drain, struct draining, drain);
	int error;

	draining->job = (struct job){ .work = flush, .done = flushed };
	error = jobs_start(&draining->daemon->jobs, &draining->job);
	if (!error)
		return;
	draining->error = error;
	snprintf(draining->why, sizeof(draining->why),
		 "cannot start a thread to flush the image: %s",
		 strerror(-error));
	end_drain(draining);
}

static void all_have_ended(struct export_drain *drain)
{
	end_drain(container_of(drain, struct draining, drain));
}

/* Returns NULL when the call was refused. */
static struct published *take_export(struct daemon *daemon,
				     struct qmp_call *call)
{
	struct published *published = NULL;
	struct args args;
	const char *id;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_NEEDED);
	if (id)
		published = exports_find(&daemon->exports, id);
	if (id && !published)
		args_refuse(&args, "Export '%.64s' is not found", id);
	if (args_end(&args) == 0)
		return published;
	qmp_refuse(call, "%s", args.why);
	return NULL;
}

static struct draining *begin(struct daemon *daemon, struct qmp_call *call,
			      const struct published *published,
			      void (*done)(struct export_drain *drain))
{
	struct draining *draining = calloc(1, sizeof(*draining));

	if (!draining) {
		command_end(call, -ENOMEM);
		return NULL;
	}
	draining->drain.done = done;
	draining->daemon = daemon;
	draining->call = call;
	draining->node = node_owner(published->node);
	draining->node->nr_jobs++;
	return draining;
}

void command_x_export_drain(struct daemon *daemon, struct qmp_call *call)
{
	struct published *published = take_export(daemon, call);
	struct draining *draining =
		published ? begin(daemon, call, published, flush_beside) : NULL;

	if (draining)
		export_drain(published->export, &draining->drain);
}

void command_x_export_pause(struct daemon *daemon, struct qmp_call *call)
{
	struct published *published = take_export(daemon, call);
	struct draining *draining =
		published ? begin(daemon, call, published, all_have_ended) :
			    NULL;

	if (draining)
		export_pause(published->export, &draining->drain);
}

void command_x_export_resume(struct daemon *daemon, struct qmp_call *call)
{
	struct published *published = take_export(daemon, call);

	if (!published)
		return;
	export_resume(published->export);
	qmp_return(call, NULL);
}
