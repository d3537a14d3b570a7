/* SPDX-License-Identifier: MIT */
/*
 * daemon_events - what happens to disks, told to all clients
 *
 * How often is the export's to bound; here it gets its form.
 */
#include <string.h>

#include "common/base.h"
#include "server/daemon_internal.h"
#include "server/reload.h"

static struct daemon *daemon_of(const struct published *published)
{
	return container_of(published->exports, struct daemon, exports);
}

static void export_ended(struct exports *exports, const char *id)
{
	struct daemon *daemon = container_of(exports, struct daemon, exports);

	/* It may have ended by itself, with the one client that it had. */
	json_auto_t *arguments = json_pack("{s:s}", "id", id);

	journal_note(&daemon->journal, "block-export-del", arguments, true);
	daemon_tell(daemon, "BLOCK_EXPORT_DELETED", json_incref(arguments));
	reload_export_ended(daemon->reload, id);
}

/* It may be about to be added, and so not among the others. */
static void peer_changed(struct published *published)
{
	struct daemon *daemon = daemon_of(published);
	bool is_there = export_peer(published->export) != -1;

	size_watch_enable(&daemon->size_watch,
			  is_there || exports_any_connected(&daemon->exports));
}

static void connected(struct published *published, pid_t pid)
{
	daemon_tell(daemon_of(published), "X_EXPORT_CONNECTED",
		    json_pack("{s:s,s:i}", "id", published->id, "pid",
			      (int)pid));
}

static void disconnected(struct published *published)
{
	daemon_tell(daemon_of(published), "X_EXPORT_DISCONNECTED",
		    json_pack("{s:s}", "id", published->id));
}

static const char *name_of(enum blk_op op)
{
	switch (op) {
	case BLK_READ:
		return "read";
	case BLK_WRITE:
		return "write";
	case BLK_FLUSH:
		return "flush";
	case BLK_DISCARD:
		return "discard";
	case BLK_WRITE_ZEROES:
		break;
	}
	return "write-zeroes";
}

static void io_failed(struct published *published,
		      const struct blk_failure *failure)
{
	daemon_tell(daemon_of(published), "X_EXPORT_IO_ERROR",
		    json_pack("{s:s,s:i,s:s,s:s,s:I}", "id", published->id,
			      "queue", (int)failure->queue, "operation",
			      name_of(failure->op), "error",
			      strerror(-failure->error), "count",
			      (json_int_t)failure->nr));
}

static void queue_broken(struct published *published, unsigned int queue,
			 const char *why, unsigned int nr)
{
	daemon_tell(daemon_of(published), "X_EXPORT_QUEUE_BROKEN",
		    json_pack("{s:s,s:i,s:s,s:I}", "id", published->id, "queue",
			      (int)queue, "reason", why, "count",
			      (json_int_t)nr));
}

const struct exports_ops daemon_exports_ops = {
	.ended = export_ended,
	.peer_changed = peer_changed,
	.connected = connected,
	.disconnected = disconnected,
	.io_failed = io_failed,
	.queue_broken = queue_broken,
};

void daemon_node_resized(struct daemon *daemon, struct node *node,
			 uint64_t old_bytes)
{
	/* A successor that has opened the image takes it for what it was. */
	journal_touch(&daemon->journal);
	list_for_each(link, &daemon->exports.list) {
		struct published *published = published_of(link);

		if (published->node->driver != node->driver)
			continue;
		export_resized(published->export, old_bytes);
		daemon_tell(
			daemon, "X_EXPORT_RESIZED",
			json_pack("{s:s,s:s,s:I}", "id", published->id,
				  "node-name", published->node->name, "size",
				  (json_int_t)node->driver->info.size_bytes));
	}
}
