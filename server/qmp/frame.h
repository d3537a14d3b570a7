/* SPDX-License-Identifier: MIT */
/*
 * frame - cuts a stream of bytes into JSON texts
 *
 * Clients send one JSON object after the other, with or without white space
 * between them and in whatever pieces. This finds where each ends; whether it
 * is JSON is the parser's to say. What is collected is bounded.
 *
 * Owner: whoever embeds it; one thread.
 */
#ifndef SERVER_QMP_FRAME_H
#define SERVER_QMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#define QMP_FRAME_MAX_BYTES (1u << 20)
#define QMP_FRAME_MAX_DEPTH 64

struct qmp_frame {
	char *bytes;
	size_t nr_bytes;
	size_t capacity;
	size_t start;	/* of the text at hand */
	size_t scanned; /* up to here it is known */
	unsigned int depth;
	bool in_string;
	bool escaped;
	bool skipping; /* to the next bracket or line, after what is no JSON */
};

/* All zeroes is an empty one. */
void qmp_frame_deinit(struct qmp_frame *frame);

/*
 * Room for bytes to come, at most *room of them; qmp_frame_added() says how
 * many came. Returns NULL without memory.
 */
char *qmp_frame_room(struct qmp_frame *frame, size_t *room);
void qmp_frame_added(struct qmp_frame *frame, size_t nr_bytes);

/*
 * The next whole text, valid until the next call of any of these. Returns 1
 * with *text and *nr_bytes set, 0 when its end has not come yet, -EPROTO for
 * what begins no object or array (it is skipped), or -EMSGSIZE for a text that
 * is too long or nested too deeply: the stream is of no use any more.
 */
int qmp_frame_next(struct qmp_frame *frame, const char **text,
		   size_t *nr_bytes);

#endif
