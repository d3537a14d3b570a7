/* SPDX-License-Identifier: MIT */
/*
 * commands_secret - secrets are kept by command
 *
 * A file is read by a job, once; its id is looked at before and again
 * afterwards. No sentence here says what a secret is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/commands.h"

/* Its strings are the call's. */
struct read_job {
	struct job job;
	struct daemon *daemon;
	struct qmp_call *call;
	const char *id;
	const char *path;
	bool base64;
	struct secret_data data;
	int error;
};

/* data: taken. */
static void add(struct daemon *daemon, struct qmp_call *call, const char *id,
		struct secret_data *data)
{
	command_end(call, secrets_add(&daemon->secrets, id, data));
}

static void refuse_base64(struct qmp_call *call)
{
	qmp_refuse(call, "The secret is no base64, which 'format' says it is");
}

static void read_beside(struct job *job)
{
	struct read_job *read = container_of(job, struct read_job, job);

	read->error = secret_data_read(read->path, &read->data);
}

static void refuse_file(const struct read_job *read)
{
	const char *why = strerror(-read->error);

	if (read->error == -EFBIG)
		why = "it is too long, 65536 bytes are the most";
	else if (read->error == -EINVAL)
		why = "it has to be a regular file";
	qmp_refuse(read->call, "Unable to read %.200s: %s", read->path, why);
}

static void file_read(struct job *job)
{
	struct read_job *read = container_of(job, struct read_job, job);
	char why[ARGS_WHY_BYTES];

	if (read->error)
		refuse_file(read);
	else if (command_object_exists(read->daemon, read->id, why))
		qmp_refuse(read->call, "%s", why);
	else if (read->base64 && secret_data_decode(&read->data) < 0)
		refuse_base64(read->call);
	else
		add(read->daemon, read->call, read->id, &read->data);
	secret_data_wipe(&read->data);
	free(read);
}

static void begin_to_read(struct daemon *daemon, struct qmp_call *call,
			  const struct read_job *what)
{
	struct read_job *read = calloc(1, sizeof(*read));
	int error = -ENOMEM;

	if (read) {
		*read = *what;
		read->job =
			(struct job){ .work = read_beside, .done = file_read };
		read->daemon = daemon;
		read->call = call;
		error = jobs_start(&daemon->jobs, &read->job);
	}
	if (!error)
		return;
	free(read);
	qmp_refuse(call, "cannot start a thread to read the file: %s",
		   strerror(-error));
}

static void take_text(struct daemon *daemon, struct qmp_call *call,
		      const char *text, const struct read_job *what)
{
	struct secret_data data = { 0 };
	int error = secret_data_copy(text, strlen(text), &data);

	if (error)
		qmp_refuse(call, "Parameter 'data': %s",
			   error == -EFBIG ? "65536 bytes are the most" :
					     strerror(-error));
	else if (what->base64 && secret_data_decode(&data) < 0)
		refuse_base64(call);
	else
		add(daemon, call, what->id, &data);
	secret_data_wipe(&data);
}

static void refuse_encrypted(struct args *args)
{
	static const char *const names[] = { "keyid", "iv" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (args_has(args, names[i]))
			args_refuse(args,
				    "Parameter '%s' is refused: ringhost takes "
				    "no encrypted secrets; decrypt it, into a "
				    "file that only the daemon's user can "
				    "read, and name that with 'file'",
				    names[i]);
	}
}

void command_add_secret(struct daemon *daemon, struct args *args,
			struct qmp_call *call, const char *id)
{
	static const char *const formats[] = { "raw", "base64", NULL };
	const char *text = args_text(args, "data", ARGS_OPTIONAL);
	struct read_job what = {
		.id = id,
		.path = args_text(args, "file", ARGS_OPTIONAL),
		.base64 = args_word(args, "format", formats, 0),
	};

	refuse_encrypted(args);
	if (text && what.path)
		args_refuse(args, "'file' and 'data' are mutually exclusive");
	if (!text && !what.path)
		args_refuse(args, "Must provide 'file' or 'data'");
	if (args_end(args) < 0)
		qmp_refuse(call, "%s", args->why);
	else if (text)
		take_text(daemon, call, text, &what);
	else
		begin_to_read(daemon, call, &what);
}
