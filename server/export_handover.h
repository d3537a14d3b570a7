/* SPDX-License-Identifier: MIT */
/*
 * export_handover - an export goes on in another process
 *
 * See <ringhost/handover.h> for what the library has of it. Control thread.
 */
#ifndef SERVER_EXPORT_HANDOVER_H
#define SERVER_EXPORT_HANDOVER_H

#include "server/export.h"

/*
 * It is frozen first, which takes as long as the requests under way: then no
 * queue runs, and the image is nobody's.
 */
void export_freeze(struct export *export);
bool export_frozen(const struct export *export);
void export_thaw(struct export *export);

/* It is frozen by export_freeze() or export_take_over(). */
bool export_may_let_go(const struct export *export);

/*
 * Between frozen exports, as the library's operations of these names; fd may
 * block. The one that takes over has had no socket. Return 0 or -errno
 * (logged); export_take_over() leaves it frozen.
 */
int export_hand_over(struct export *export, int fd);
int export_take_over(struct export *export, int fd);

/* It goes on elsewhere, and has finished here. */
void export_let_go(struct export *export);

#endif
