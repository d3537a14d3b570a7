/* SPDX-License-Identifier: MIT */
/*
 * options_rows - each option's name, its value, and where it goes
 *
 * The table behind options.c, and nobody else's.
 */
#ifndef SERVER_OPTIONS_ROWS_H
#define SERVER_OPTIONS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/options.h"

enum row_id {
	ROW_AIO,
	ROW_BLK_FILE,
	ROW_BLOCK_SIZE,
	ROW_BPS,
	ROW_CACHE,
	ROW_DRIVER,
	ROW_EXIT_ON_DISCONNECT,
	ROW_FAULT,
	ROW_FAULT_CACHE,
	ROW_FAULT_DRIVER,
	ROW_FAULT_SEED,
	ROW_FD,
	ROW_FORCE_SHARE,
	ROW_FORMAT,
	ROW_HELP,
	ROW_IOPS,
	ROW_LIMIT,
	ROW_LOG_FORMAT,
	ROW_NUM_QUEUES,
	ROW_POLL_US,
	ROW_PRINT_CAPABILITIES,
	ROW_QUEUE_SIZE,
	ROW_QUIET,
	ROW_READ_ONLY,
	ROW_SANDBOX,
	ROW_SERIAL,
	ROW_SIZE,
	ROW_SOCKET_GROUP,
	ROW_SOCKET_MODE,
	ROW_SOCKET_PATH,
	ROW_THREADS,
	ROW_VERBOSE,
	ROW_VERSION,
	NR_ROWS,
};

struct parser {
	struct options *options;
	const struct row *row; /* the option at hand */
	const char *value;     /* its value; NULL if it takes none */
	uint64_t given;	       /* a bit for each row that appeared */
};

struct row {
	const char *name;
	/* Check and store the value. Returns 0 or -EINVAL (logged). */
	int (*take)(struct parser *parser);
	bool has_value;
	char letter;
};

extern const struct row options_rows[NR_ROWS];

/* The image, which may stand without its option. As a row's take(). */
int options_take_image(struct parser *parser);

#endif
