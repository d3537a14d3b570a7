/* SPDX-License-Identifier: MIT */
/*
 * node - an opened image under a name
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "server/node.h"

static struct node *allocate(const char *name, const char *image)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	list_init(&node->link);
	node->name = strdup(name);
	node->image = image ? strdup(image) : NULL;
	if (node->name && (node->image || !image))
		return node;
	node_close(node);
	return NULL;
}

int node_open(const struct driver_ops *driver,
	      const struct driver_options *options, struct node **ret)
{
	struct node *node = allocate(options->name, options->image);
	int error;

	if (!node) {
		rh_log(RH_LOG_ERROR, options->name, "out of memory");
		return -ENOMEM;
	}
	error = driver->open(options, &node->driver);
	if (error) {
		node_close(node);
		return error;
	}
	node->read_only = node->driver->info.read_only;
	*ret = node;
	return 0;
}

int node_create_on(const char *name, struct node *base, bool read_only,
		   struct node **ret)
{
	struct node *node = allocate(name, base->image);

	if (!node) {
		rh_log(RH_LOG_ERROR, name, "out of memory");
		return -ENOMEM;
	}
	node->base = base;
	node->driver = base->driver;
	node->read_only = base->read_only || read_only;
	base->nr_users++;
	*ret = node;
	return 0;
}

unsigned int node_throttles(const struct node *node,
			    struct throttle **throttles, unsigned int max)
{
	unsigned int nr = 0;

	for (; node; node = node->base) {
		if (!node->throttle)
			continue;
		if (nr < max)
			throttles[nr] = node->throttle;
		nr++;
	}
	return nr;
}

void node_close(struct node *node)
{
	if (!node)
		return;
	assert(!node->nr_users && !node->nr_claims);
	if (node->base)
		node->base->nr_users--;
	else if (node->driver)
		node->driver->ops->close(node->driver);
	free(node->image);
	free(node->name);
	free(node);
}

int node_measure(struct node *node, uint64_t *ret)
{
	struct driver *driver = node->driver;
	uint64_t size_bytes = 0;
	int error = driver->ops->refresh ?
			    driver->ops->refresh(driver, &size_bytes) :
			    -EOPNOTSUPP;

	if (error)
		rh_log(RH_LOG_ERROR, node->name,
		       "cannot learn the image's size: %s", strerror(-error));
	else
		*ret = size_bytes;
	return error;
}

void node_set_size(struct node *node, uint64_t size_bytes)
{
	node->driver->info.size_bytes = size_bytes;
}

int node_refresh(struct node *node, uint64_t *old_bytes)
{
	uint64_t size_bytes;
	int error;

	*old_bytes = node->driver->info.size_bytes;
	if (!node->driver->ops->refresh)
		return 0;
	error = node_measure(node, &size_bytes);
	if (error)
		return error;
	node_set_size(node, size_bytes);
	return size_bytes != *old_bytes;
}

int node_resize(struct node *node, uint64_t size_bytes)
{
	struct driver *driver = node->driver;
	int error = driver->ops->resize ?
			    driver->ops->resize(driver, size_bytes) :
			    -EOPNOTSUPP;

	if (error == -EOPNOTSUPP && !driver->ops->resize)
		rh_log(RH_LOG_ERROR, node->name,
		       "the size of this kind of image cannot be changed here");
	return error;
}

int node_flush(struct node *node)
{
	struct driver *driver = node->driver;

	return driver->ops->flush ? driver->ops->flush(driver) : 0;
}

struct node *node_owner(struct node *node)
{
	while (node->base)
		node = node->base;
	return node;
}

int node_claim(struct node *node)
{
	struct node *owner = node_owner(node);
	const struct driver_ops *ops = owner->driver->ops;
	int error = 0;

	if (!owner->nr_claims && ops->claim)
		error = ops->claim(owner->driver);
	if (!error)
		owner->nr_claims++;
	return error;
}

void node_release(struct node *node)
{
	struct node *owner = node_owner(node);
	const struct driver_ops *ops = owner->driver->ops;

	assert(owner->nr_claims);
	if (!--owner->nr_claims && ops->release)
		ops->release(owner->driver);
}
