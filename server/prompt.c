/* SPDX-License-Identifier: MIT */
/*
 * prompt - reads and writes that are done when the call returns
 *
 * io_submit(2) knows no way to put off a buffered operation, so it carries
 * out each before it goes on to the next, and returns with all of them done:
 * what is a trap for those who want asynchrony is what is wanted here. Should
 * one be under way all the same, its end is waited for.
 */
#include <assert.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"
#include "common/nsec.h"
#include "server/engine.h"
#include "server/prompt.h"

#define MAX_OPS 64

struct prompt {
	aio_context_t context;
	unsigned int nr;
	struct io_op *ops[MAX_OPS];
	struct iocb iocbs[MAX_OPS];
	struct iocb *pointers[MAX_OPS];
	struct io_event events[MAX_OPS];
};

/* Neighbours of one pace, which are timed together. */
struct batch {
	unsigned int first;
	unsigned int nr;
	unsigned int nr_done;
};

int prompt_create(struct prompt **ret)
{
	struct prompt *prompt = calloc(1, sizeof(*prompt));

	if (!prompt)
		return -ENOMEM;
	if (syscall(SYS_io_setup, MAX_OPS, &prompt->context) < 0) {
		int error = -errno;

		free(prompt);
		return error;
	}
	for (size_t i = 0; i < MAX_OPS; i++)
		prompt->pointers[i] = &prompt->iocbs[i];
	*ret = prompt;
	return 0;
}

void prompt_destroy(struct prompt *prompt)
{
	if (!prompt)
		return;
	assert(!prompt->nr);
	syscall(SYS_io_destroy, prompt->context);
	free(prompt);
}

bool prompt_add(struct prompt *prompt, struct io_op *op)
{
	assert(op->kind == IO_READ || op->kind == IO_WRITE);
	assert(!op->rw_flags);
	if (prompt->nr == MAX_OPS)
		return false;
	prompt->ops[prompt->nr++] = op;
	return true;
}

bool prompt_is_empty(const struct prompt *prompt)
{
	return !prompt->nr;
}

static void prepare(struct iocb *iocb, const struct io_op *op,
		    unsigned int index)
{
	bool write = op->kind == IO_WRITE;

	*iocb = (struct iocb){
		.aio_data = index,
		.aio_fildes = (uint32_t)op->fd,
		.aio_offset = (int64_t)op->offset_bytes,
	};
	if (op->nr_iov == 1) {
		iocb->aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		iocb->aio_buf = (uint64_t)(uintptr_t)op->iov->iov_base;
		iocb->aio_nbytes = op->iov->iov_len;
	} else {
		iocb->aio_lio_opcode =
			write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
		iocb->aio_buf = (uint64_t)(uintptr_t)op->iov;
		iocb->aio_nbytes = op->nr_iov;
	}
}

/* For one alone the plain call is cheaper. */
static void run_one(struct io_op *op)
{
	off_t offset = (off_t)op->offset_bytes;
	ssize_t result;

	if (op->kind == IO_WRITE)
		result = pwritev(op->fd, op->iov, (int)op->nr_iov, offset);
	else
		result = preadv(op->fd, op->iov, (int)op->nr_iov, offset);
	op->result = result < 0 ? -errno : (int)result;
}

/* Each has its own event: nobody else uses this context. */
static void take_events(struct prompt *prompt, unsigned int nr)
{
	unsigned int nr_taken = 0;

	while (nr_taken < nr) {
		long result =
			syscall(SYS_io_getevents, prompt->context,
				(long)(nr - nr_taken), (long)(nr - nr_taken),
				prompt->events, NULL);

		assert(result >= 0 || errno == EINTR);
		for (long i = 0; i < result; i++) {
			const struct io_event *event = &prompt->events[i];

			prompt->ops[event->data]->result = (int)event->res;
		}
		nr_taken += (unsigned int)MAX(result, 0L);
	}
}

static void run_many(struct prompt *prompt, struct batch *batch)
{
	unsigned int end = batch->first + batch->nr;
	long result;

	for (unsigned int i = batch->first; i < end; i++)
		prepare(&prompt->iocbs[i], prompt->ops[i], i);
	result = syscall(SYS_io_submit, prompt->context, (long)batch->nr,
			 &prompt->pointers[batch->first]);
	batch->nr_done = (unsigned int)MAX(result, 0L);
	take_events(prompt, batch->nr_done);
}

static struct batch next_batch(const struct prompt *prompt, unsigned int first)
{
	unsigned int end = first + 1;

	while (end < prompt->nr &&
	       prompt->ops[end]->pace == prompt->ops[first]->pace)
		end++;
	return (struct batch){ .first = first, .nr = end - first };
}

static void run_batch(struct prompt *prompt, struct batch *batch)
{
	struct io_op *first = prompt->ops[batch->first];
	struct pace_batch timed = { .start_nsec = nsec_now() };

	if (batch->nr == 1) {
		run_one(first);
		batch->nr_done = 1;
	} else {
		run_many(prompt, batch);
	}
	timed.end_nsec = nsec_now();
	timed.nr = batch->nr_done;
	for (unsigned int i = 0; i < batch->nr_done; i++)
		timed.bytes += prompt->ops[batch->first + i]->bytes;
	pace_note(first->pace, &timed);
}

/* The engine tries these again, and knows how often. */
static bool was_put_off(const struct io_op *op)
{
	return op->result == -EAGAIN || op->result == -EINTR ||
	       op->result == -ENOMEM;
}

void prompt_run(struct prompt *prompt, struct list_node *finished,
		struct list_node *refused)
{
	unsigned int i = 0;

	while (i < prompt->nr) {
		struct batch batch = next_batch(prompt, i);
		unsigned int end = i + batch.nr;

		run_batch(prompt, &batch);
		for (; i < batch.first + batch.nr_done; i++)
			list_append(was_put_off(prompt->ops[i]) ? refused :
								  finished,
				    &prompt->ops[i]->link);
		for (; i < end; i++)
			list_append(refused, &prompt->ops[i]->link);
	}
	prompt->nr = 0;
}
