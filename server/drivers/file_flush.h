/* SPDX-License-Identifier: MIT */
/*
 * file_flush - flushes, and what failed ones mean
 *
 * Owner: the worker's thread.
 */
#ifndef SERVER_DRIVERS_FILE_FLUSH_H
#define SERVER_DRIVERS_FILE_FLUSH_H

#include "server/drivers/file.h"

enum driver_answer file_flush_submit(struct file_context *context,
				     struct blk_request *request);
/* Complete the request with the next sync that starts. */
void file_flush_join(struct file_context *context, struct blk_request *request);
/* Start a sync if one is wanted and none runs. */
void file_flush_start_waiting(struct file_context *context);
/* Every flush fails from now on. */
cold_code void file_flush_poison(struct file *file, int error);

#endif
