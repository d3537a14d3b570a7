/* SPDX-License-Identifier: MIT */
/*
 * frame - cuts a stream of bytes into JSON texts
 *
 * Only what brackets and quotes say is looked at. Each byte is looked at once,
 * however the stream was cut.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/qmp/frame.h"

#define ROOM_BYTES ((size_t)4096)

void qmp_frame_deinit(struct qmp_frame *frame)
{
	free(frame->bytes);
	*frame = (struct qmp_frame){ 0 };
}

/* What was taken is not kept. */
static void move_to_front(struct qmp_frame *frame)
{
	if (!frame->start)
		return;
	memmove(frame->bytes, frame->bytes + frame->start,
		frame->nr_bytes - frame->start);
	frame->nr_bytes -= frame->start;
	frame->scanned -= frame->start;
	frame->start = 0;
}

char *qmp_frame_room(struct qmp_frame *frame, size_t *room)
{
	size_t capacity = frame->capacity;
	char *bytes;

	move_to_front(frame);
	if (capacity - frame->nr_bytes < ROOM_BYTES) {
		capacity = capacity ? 2 * capacity : 2 * ROOM_BYTES;
		bytes = realloc(frame->bytes, capacity);
		if (!bytes)
			return NULL;
		frame->bytes = bytes;
		frame->capacity = capacity;
	}
	*room = capacity - frame->nr_bytes;
	return frame->bytes + frame->nr_bytes;
}

void qmp_frame_added(struct qmp_frame *frame, size_t nr_bytes)
{
	frame->nr_bytes += nr_bytes;
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* What is between two texts. Returns 0, or -EPROTO for what has no place. */
static int scan_between(struct qmp_frame *frame, char byte)
{
	if (byte == '{' || byte == '[') {
		frame->start = frame->scanned;
		frame->depth = 1;
		frame->skipping = false;
		return 0;
	}
	if (byte == '\n')
		frame->skipping = false;
	if (frame->skipping || is_space(byte)) {
		frame->start = frame->scanned + 1;
		return 0;
	}
	frame->start = frame->scanned + 1;
	frame->skipping = true;
	return -EPROTO;
}

static void scan_string(struct qmp_frame *frame, char byte)
{
	if (frame->escaped)
		frame->escaped = false;
	else if (byte == '\\')
		frame->escaped = true;
	else if (byte == '"')
		frame->in_string = false;
}

static int scan_text(struct qmp_frame *frame, char byte)
{
	if (frame->in_string) {
		scan_string(frame, byte);
		return 0;
	}
	if (byte == '"')
		frame->in_string = true;
	else if (byte == '{' || byte == '[')
		frame->depth++;
	else if (byte == '}' || byte == ']')
		frame->depth--;
	return frame->depth <= QMP_FRAME_MAX_DEPTH ? 0 : -EMSGSIZE;
}

int qmp_frame_next(struct qmp_frame *frame, const char **text, size_t *nr_bytes)
{
	while (frame->scanned < frame->nr_bytes) {
		bool inside = frame->depth > 0;
		char byte = frame->bytes[frame->scanned];
		int error = inside ? scan_text(frame, byte) :
				     scan_between(frame, byte);

		frame->scanned++;
		if (error)
			return error;
		if (inside && !frame->depth) {
			*text = frame->bytes + frame->start;
			*nr_bytes = frame->scanned - frame->start;
			frame->start = frame->scanned;
			return 1;
		}
	}
	return frame->nr_bytes - frame->start > QMP_FRAME_MAX_BYTES ?
		       -EMSGSIZE :
		       0;
}
