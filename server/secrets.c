/* SPDX-License-Identifier: MIT */
/*
 * secrets - the secrets of the process, by name
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/handover_text.h"
#include "server/secrets.h"

#define MAX_ID_BYTES (1u << 20) /* a command has no more */

void secrets_init(struct secrets *secrets)
{
	list_init(&secrets->list);
}

void secrets_remove(struct secret *secret)
{
	list_remove(&secret->link);
	secret_data_wipe(&secret->data);
	free(secret->id);
	free(secret);
}

void secrets_deinit(struct secrets *secrets)
{
	list_for_each(node, &secrets->list)
		secrets_remove(secret_of(node));
}

int secrets_add(struct secrets *secrets, const char *id,
		struct secret_data *data)
{
	struct secret *secret = calloc(1, sizeof(*secret));

	if (secret)
		secret->id = strdup(id);
	if (!secret || !secret->id) {
		rh_log(RH_LOG_ERROR, id, "out of memory");
		secret_data_wipe(data);
		free(secret);
		return -ENOMEM;
	}
	secret->data = *data;
	*data = (struct secret_data){ 0 };
	list_append(&secrets->list, &secret->link);
	return 0;
}

struct secret *secret_find(struct secrets *secrets, const char *id)
{
	list_for_each(node, &secrets->list) {
		if (!strcmp(secret_of(node)->id, id))
			return secret_of(node);
	}
	return NULL;
}

/* An empty id ends the list. */
int secrets_hand_over(struct secrets *secrets, int fd)
{
	int error = 0;

	list_for_each(node, &secrets->list) {
		const struct secret *secret = secret_of(node);

		if (!error)
			error = handover_put(fd, secret->id,
					     strlen(secret->id));
		if (!error)
			error = handover_put(fd, secret->data.bytes,
					     secret->data.nr_bytes);
	}
	return error ? error : handover_put(fd, "", 0);
}

static int take_one(void *opaque, const char *id, int fd)
{
	struct secrets *secrets = opaque;
	struct secret_data data = { 0 };
	int error = handover_get(fd, SECRET_MAX_BYTES, (char **)&data.bytes,
				 &data.nr_bytes);

	if (!error && !secret_find(secrets, id))
		return secrets_add(secrets, id, &data);
	secret_data_wipe(&data);
	return error;
}

int secrets_take_over(struct secrets *secrets, int fd)
{
	return handover_get_each(fd, MAX_ID_BYTES, take_one, secrets);
}
