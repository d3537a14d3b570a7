/* SPDX-License-Identifier: MIT */
/*
 * node - an opened image under a name
 *
 * Exports stand on nodes. Several exports may stand on one: the image is
 * claimed while a queue of any of them runs.
 *
 * Owner: struct inventory. Control thread, but for node_open().
 */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include <stdbool.h>

#include "common/list.h"
#include "server/driver.h"
#include "server/throttle.h"

struct node {
	struct list_node link;
	char *name;
	char *image;		   /* its path; NULL: there is none */
	struct node *base;	   /* whose image it is; NULL: its own */
	struct driver *driver;	   /* of the image */
	struct throttle *throttle; /* of its group, not owned; NULL: none */
	bool read_only;		   /* for those who use this node */
	unsigned int nr_users;	   /* exports, and nodes whose base it is */
	unsigned int nr_claims;	   /* by those of them that run */
	bool resizing;		   /* its own image, by command */
	unsigned int nr_jobs;	   /* that have its own image in their hands */
};

/*
 * Opens the image, which takes as long as its storage likes: any thread.
 * options: their name is the node's. Returns 0 with *ret set, or -errno
 * (logged).
 */
int node_open(const struct driver_ops *driver,
	      const struct driver_options *options, struct node **ret);

/*
 * Another name for an image. base: outlives it, and may be one itself.
 * Returns 0 with *ret set, or -ENOMEM (logged).
 */
int node_create_on(const char *name, struct node *base, bool read_only,
		   struct node **ret);

/*
 * The throttles of this node and those below it, max of them at most. Returns
 * how many there are.
 */
unsigned int node_throttles(const struct node *node,
			    struct throttle **throttles, unsigned int max);

/*
 * Nobody uses it. Flushes and closes the image: any thread, too, unless it has
 * a base.
 */
void node_close(struct node *node);

/*
 * Learn the image's size again. Returns 1 when it has changed, with its old
 * one in *old_bytes, 0 when it has not, or -errno (logged).
 */
int node_refresh(struct node *node, uint64_t *old_bytes);

/*
 * The same in two steps: what waits for the storage, of a node with its own
 * image, in any thread, one at a time; and what those who stand on it are to
 * see. Returns 0 or -errno (logged).
 */
int node_measure(struct node *node, uint64_t *ret);
void node_set_size(struct node *node, uint64_t size_bytes);

/*
 * Make the image this long, whole sectors and not 0, as the driver's resize():
 * any thread. It has its own image and is writable. Who stands on it does not
 * see the new size yet. Returns 0 or -errno (logged).
 */
int node_resize(struct node *node, uint64_t size_bytes);

/* What was acknowledged is durable: any thread. Returns 0 or -errno (logged). */
int node_flush(struct node *node);

/*
 * Which syncs of their images have failed is told to another process, over what
 * that one reads, where nodes of the same names know it then. Return 0 or
 * -errno.
 */
int nodes_hand_over(const struct list_node *nodes, int fd);
int nodes_take_over(const struct list_node *nodes, int fd);

/* The node whose image it is; itself, if it has no base. */
struct node *node_owner(struct node *node);

/* As the driver's claim() and release(), counted. */
int node_claim(struct node *node);
void node_release(struct node *node);

#endif
