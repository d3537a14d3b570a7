/* SPDX-License-Identifier: MIT */
/*
 * prompt - reads and writes that are done when the call returns
 *
 * For storage at the speed of memory: a file on tmpfs, a write that goes into
 * the page cache. io_uring hands such an operation to a thread of its own
 * where the file system does not promise never to wait, which costs more than
 * the copy itself. Here the worker's thread does it, a batch in one system
 * call. It waits where the storage waits: struct pace says whether to go on.
 *
 * Owner: the worker's thread.
 */
#ifndef SERVER_PROMPT_H
#define SERVER_PROMPT_H

#include <stdbool.h>

#include "common/list.h"
#include "server/engine.h"

struct prompt;

/* Returns 0 with *ret set, or -errno: this host does not allow it. */
int prompt_create(struct prompt **ret);

/* NULL is accepted. */
void prompt_destroy(struct prompt *prompt);

/*
 * To be carried out by the next prompt_run(): op is IO_READ or IO_WRITE,
 * without rw_flags, its pace allows it. False: there is no room.
 */
bool prompt_add(struct prompt *prompt, struct io_op *op);

bool prompt_is_empty(const struct prompt *prompt);

/*
 * Carry out all that was added. Appends each to finished, by link and with
 * result set; or to refused, when the kernel did not take it or put it off.
 */
void prompt_run(struct prompt *prompt, struct list_node *finished,
		struct list_node *refused);

#endif
