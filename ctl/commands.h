/* SPDX-License-Identifier: MIT */
/*
 * commands - what `ringhost ctl` can do
 *
 * ctl.c has the table. A command writes its result to the standard output, as
 * text or with --json as JSON. It returns 0, or -errno for what was logged.
 *
 * The process's only thread.
 */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/link.h"
#include "ctl/options.h"

struct ctl {
	const struct ctl_options *options;
	struct link link; /* open, but for commands that need no daemon */
};

/* show.c */
int ctl_list(struct ctl *ctl);
int ctl_show(struct ctl *ctl);

/* disk.c */
int ctl_add(struct ctl *ctl);
int ctl_remove(struct ctl *ctl);

/* change.c */
int ctl_resize(struct ctl *ctl);
int ctl_limit(struct ctl *ctl);
int ctl_move(struct ctl *ctl);
int ctl_pause(struct ctl *ctl);
int ctl_resume(struct ctl *ctl);
int ctl_drain(struct ctl *ctl);
int ctl_reload(struct ctl *ctl);
int ctl_raw(struct ctl *ctl);

/* watch.c */
int ctl_stats(struct ctl *ctl);
int ctl_events(struct ctl *ctl);

/* top.c */
int ctl_top(struct ctl *ctl);

/* libvirt.c */
int ctl_libvirt_xml(struct ctl *ctl);

/* doctor.c: the daemon is one of the things that it looks for. */
int ctl_doctor(struct ctl *ctl);

/*
 * The end of a command that says "done" and nothing else: prints that, value,
 * which is handed over, being what there is to tell of it. NULL: it has failed.
 */
int ctl_done(const struct ctl *ctl, json_t *value);

/* A value for people and programs that read JSON; handed over. */
int ctl_print_json(json_t *value);

#endif
