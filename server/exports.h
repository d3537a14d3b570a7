/* SPDX-License-Identifier: MIT */
/*
 * exports - the exports of the process by their id, each with its socket
 *
 * Adding one is done at once. One that is to go ends its session first, which
 * takes as long as the requests under way, and is there until then.
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_EXPORTS_H
#define SERVER_EXPORTS_H

#include "common/list.h"
#include "server/activation.h"
#include "server/export.h"
#include "server/loop.h"
#include "server/socket_file.h"

#define EXPORTS_MAX_WORKERS  64 /* of one export */
#define EXPORTS_MAX_ID_BYTES 1024

struct exports;
struct published;

/* What whoever has them wants to know. */
struct exports_ops {
	/* One has ended; it is freed after this. */
	void (*ended)(struct exports *exports, const char *id);
	/* As of struct export_listener_ops. */
	void (*peer_changed)(struct published *published);
	void (*connected)(struct published *published, pid_t pid);
	void (*disconnected)(struct published *published);
	void (*io_failed)(struct published *published,
			  const struct blk_failure *failure);
	void (*queue_broken)(struct published *published, unsigned int queue,
			     const char *why, unsigned int nr);
};

struct exports {
	struct loop *loop;
	struct list_node list; /* struct published */
	const struct exports_ops *ops;
	/* NULL, or called when something has happened to one of them. */
	void (*moved_on)(struct exports *exports);
};

/* One of them. */
struct published {
	struct list_node link;
	struct exports *exports;
	char *id;
	char *path; /* of its socket; NULL: it came as a file descriptor */
	const struct activation_socket *passed; /* that one; NULL: another */
	struct export *export;
	struct node *node; /* of the export, not owned */
	struct export_listener listener;
	struct loop_watch watch;
	struct socket_file socket_file;
	bool writable;
	bool ending;
	bool later; /* it has no socket yet */
};

/* What one is made of; all is borrowed. */
struct exports_spec {
	struct export_options options; /* its name is the id */
	struct node *node;
	struct worker *workers[EXPORTS_MAX_WORKERS];
	unsigned int nr_workers;		/* at least 1 */
	const char *path;			/* NULL: fd */
	const struct activation_socket *passed; /* NULL: fd */
	bool later; /* no socket yet: it comes with exports_take_over() */
	int fd;	    /* listens, or is connected; taken on success */
	mode_t mode;
	gid_t gid; /* (gid_t)-1: that of the process */
};

void exports_init(struct exports *exports, struct loop *loop,
		  const struct exports_ops *ops);

/* All have ended. */
void exports_deinit(struct exports *exports);

/*
 * An id that is too long could not be handed over. Returns 0, -EEXIST, or
 * another -errno, each logged.
 */
int exports_add(struct exports *exports, const struct exports_spec *spec);

/* NULL: there is none. */
struct published *exports_find(struct exports *exports, const char *id);

/*
 * Asynchronous: until ended() is called. hard: also if a front-end is
 * connected; it is cut off. Returns 0, -ENOENT or -EBUSY, each logged.
 */
int exports_remove(struct exports *exports, const char *id, bool hard);

/*
 * All of them go on in another process, as export_freeze() and its neighbours
 * have it for one; those that end are left out. exports_hand_over() changes
 * nothing, and exports_take_over() finds its exports, made with later, by their
 * ids. Both may block. Return 0 or -errno (logged).
 */
void exports_freeze(struct exports *exports);
bool exports_frozen(const struct exports *exports);
void exports_thaw(struct exports *exports);
int exports_hand_over(struct exports *exports, int fd);
int exports_take_over(struct exports *exports, int fd);

/* They go on elsewhere: here they are gone, and ended() is not called. */
void exports_let_go(struct exports *exports);

/* True if one of them runs a queue there, or may do so. */
bool exports_use(struct exports *exports, const struct worker *worker);

/* A front-end is connected to one of them. */
bool exports_any_connected(struct exports *exports);

/* All of them, hard. */
void exports_stop(struct exports *exports);

/* It has finished, or has never had a socket. */
void exports_destroy_one(struct published *published);

static inline struct published *published_of(struct list_node *node)
{
	return container_of(node, struct published, link);
}

#endif
