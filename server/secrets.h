/* SPDX-License-Identifier: MIT */
/*
 * secrets - the secrets of the process, by name
 *
 * What an image's storage wants to know of us, such as a password, is named by
 * the id of a secret where the image is named, and is looked up here. No
 * command tells it.
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_SECRETS_H
#define SERVER_SECRETS_H

#include "common/list.h"
#include "server/secret_data.h"

struct secret {
	struct list_node link;
	char *id;
	struct secret_data data;
};

struct secrets {
	struct list_node list; /* struct secret */
};

void secrets_init(struct secrets *secrets);
void secrets_deinit(struct secrets *secrets);

/* data: taken, whatever the outcome. Returns 0, or -ENOMEM (logged). */
int secrets_add(struct secrets *secrets, const char *id,
		struct secret_data *data);

/* NULL: there is none. */
struct secret *secret_find(struct secrets *secrets, const char *id);

void secrets_remove(struct secret *secret);

/*
 * They are told to another process, over what only that one reads. One that it
 * has already stays as it is there. Return 0 or -errno (logged).
 */
int secrets_hand_over(struct secrets *secrets, int fd);
int secrets_take_over(struct secrets *secrets, int fd);

static inline struct secret *secret_of(struct list_node *node)
{
	return container_of(node, struct secret, link);
}

#endif
