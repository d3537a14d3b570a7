/* SPDX-License-Identifier: MIT */
/*
 * exports_handover - all exports go on in another process
 *
 * Each is told with its id in front, so that the order is of no importance; an
 * empty id ends the list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/export_handover.h"
#include "server/exports.h"
#include "server/handover_text.h"

#define TAG "ringhost"

void exports_freeze(struct exports *exports)
{
	list_for_each(node, &exports->list)
		export_freeze(published_of(node)->export);
}

bool exports_frozen(const struct exports *exports)
{
	list_for_each(node, &exports->list) {
		const struct published *published = published_of(node);

		if (!published->ending && !export_frozen(published->export))
			return false;
	}
	return true;
}

void exports_thaw(struct exports *exports)
{
	list_for_each(node, &exports->list)
		export_thaw(published_of(node)->export);
}

int exports_hand_over(struct exports *exports, int fd)
{
	int error = 0;

	list_for_each(node, &exports->list) {
		const struct published *published = published_of(node);

		if (published->ending)
			continue;
		error = handover_put(fd, published->id, strlen(published->id));
		if (!error)
			error = export_hand_over(published->export, fd);
		if (error)
			return error;
	}
	return handover_put(fd, "", 0);
}

static int take_one(struct published *published, int fd)
{
	int error = export_take_over(published->export, fd);

	if (error)
		return error;
	published->later = false;
	if (published->path &&
	    socket_file_hold(&published->socket_file, published->path) < 0)
		rh_log(RH_LOG_WARNING, published->id,
		       "%s is not there any more, and stays with whoever has "
		       "taken it away",
		       published->path);
	return 0;
}

static int refuse(const char *id)
{
	rh_log(RH_LOG_ERROR, TAG,
	       "an export is handed over that was not announced: %s", id);
	return -EPROTO;
}

static int take_named(void *opaque, const char *id, int fd)
{
	struct published *published = exports_find(opaque, id);

	return published && published->later ? take_one(published, fd) :
					       refuse(id);
}

int exports_take_over(struct exports *exports, int fd)
{
	return handover_get_each(fd, EXPORTS_MAX_ID_BYTES, take_named, exports);
}

void exports_let_go(struct exports *exports)
{
	list_for_each(node, &exports->list) {
		struct published *published = published_of(node);

		/* Not one that the taker has added of its own: that is served. */
		if (published->ending ||
		    (!published->later &&
		     !export_may_let_go(published->export)))
			continue;
		if (!published->later)
			export_let_go(published->export);
		socket_file_forget(&published->socket_file);
		exports_destroy_one(published);
	}
}
