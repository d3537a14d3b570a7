/* SPDX-License-Identifier: MIT */
/*
 * doctor - is this host fit to serve disks, and if not, what is to be done
 */
#include "ctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/commands.h"
#include "ctl/disks.h"
#include "ctl/reply.h"
#include "ctl/text.h"

#define USUAL_DIRECTORY "/run/ringhost"

static const char *const names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_PROBLEM] = "problem",
};

void doctor_say(struct doctor *doctor, enum doctor_verdict verdict,
		const char *subject, const char *format, ...)
{
	cleanup_free char *text = NULL;
	cleanup_free char *escaped = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	doctor->worst = MAX(doctor->worst, verdict);
	/* paths need not be UTF-8, and JSON is */
	escaped = text ? text_escape(text) : NULL;
	if (escaped)
		json_array_append_new(doctor->findings,
				      json_pack("{s:s,s:s,s:s}", "verdict",
						names[verdict], "subject",
						subject, "finding", escaped));
}

bool doctor_read(const char *path, char *ret, size_t nr_bytes)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t nr = fd < 0 ? -1 : read(fd, ret, nr_bytes - 1);

	if (nr < 0)
		return false;
	ret[nr] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

/* Threads that fell back to another engine than they could have. */
static void look_at_iothreads(struct doctor *doctor, struct link *link)
{
	json_t *threads = link_ask(link, "query-iothreads", NULL);
	json_t *thread;
	size_t i;

	json_array_foreach(threads, i, thread)
	{
		const char *engine = reply_text(thread, "x-engine");

		doctor_say(doctor,
			   strcmp(engine, "io_uring") != 0 ? DOCTOR_WARNING :
							     DOCTOR_OK,
			   "I/O thread", "%s uses %s", reply_text(thread, "id"),
			   engine);
	}
	json_decref(threads);
}

static void look_at_disks(struct doctor *doctor, struct link *link)
{
	json_t *disks = disks_get(link);
	json_t *disk;
	size_t i;

	doctor->nr_disks = (unsigned int)json_array_size(disks);
	json_array_foreach(disks, i, disk)
	{
		/* Relative ones are the daemon's to find. */
		if (*reply_text(disk, "image") == '/')
			doctor_image(doctor, reply_text(disk, "image"));
		if (*reply_text(disk, "socket") == '/')
			doctor_socket(doctor, reply_text(disk, "socket"));
	}
	json_decref(disks);
}

static void look_at_daemon(struct doctor *doctor, struct ctl *ctl)
{
	const char *path = ctl->options->socket;
	json_t *version = NULL;

	if (access(path, F_OK) < 0) {
		doctor_say(doctor, DOCTOR_WARNING, "daemon",
			   "there is none at %s (%s); its disks cannot be "
			   "looked at",
			   path, strerror(errno));
		return;
	}
	if (link_open(&ctl->link, path, ctl->options->timeout_msec) == 0)
		version = link_ask(&ctl->link, "query-version", NULL);
	if (!version) {
		doctor_say(doctor, DOCTOR_PROBLEM, "daemon",
			   "nobody answers at %s; start it, or run this as the "
			   "user who runs it",
			   path);
		return;
	}
	doctor->daemon = link_peer(&ctl->link);
	doctor_say(doctor, DOCTOR_OK, "daemon", "process %d answers at %s",
		   (int)doctor->daemon, path);
	json_decref(version);
	look_at_iothreads(doctor, &ctl->link);
	look_at_disks(doctor, &ctl->link);
}

static void look_at_path(struct doctor *doctor, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		doctor_say(doctor, DOCTOR_PROBLEM, "path", "%s: %s", path,
			   strerror(errno));
	else if (S_ISSOCK(status.st_mode) || S_ISDIR(status.st_mode))
		doctor_socket(doctor, path);
	else
		doctor_image(doctor, path);
}

static int print_findings(const struct doctor *doctor)
{
	json_t *finding;
	size_t i;

	json_array_foreach(doctor->findings, i, finding)
	{
		printf("%-7s  ", reply_text(finding, "verdict"));
		fputs(reply_text(finding, "subject"), stdout);
		printf(": %s\n", reply_text(finding, "finding"));
	}
	return 0;
}

int ctl_doctor(struct ctl *ctl)
{
	const struct ctl_options *options = ctl->options;
	struct doctor doctor = { .findings = json_array(),
				 .user = options->user };
	int error;

	look_at_daemon(&doctor, ctl);
	doctor_host(&doctor);
	for (unsigned int i = 0; i < options->nr_args; i++)
		look_at_path(&doctor, options->args[i]);
	if (!options->nr_args && access(USUAL_DIRECTORY, F_OK) == 0)
		doctor_socket(&doctor, USUAL_DIRECTORY);
	if (options->json)
		error = ctl_print_json(json_incref(doctor.findings));
	else
		error = print_findings(&doctor);
	json_decref(doctor.findings);
	return error || doctor.worst == DOCTOR_PROBLEM ? -EIO : 0;
}
