/* SPDX-License-Identifier: MIT */
/*
 * peer - the front-end's end of a session: its files, its messages
 *
 * Files are made once a program and set back for each run. An answer is held
 * against what was sent: it belongs to a message, in the order of these, and
 * is framed as the document says.
 */
#ifndef TESTS_FUZZ_PEER_H
#define TESTS_FUZZ_PEER_H

#include "lib/wire.h"
#include "tests/fuzz/backend.h"

#define PEER_MAX_PAYLOAD  512
#define PEER_MEMORY_BYTES 0x10000
#define PEER_SMALL_BYTES  0x4000
#define PEER_MAX_FDS	  12 /* more than a message may have */
#define PEER_MAX_SENT	  256

/* What may come along with a message */
enum peer_file {
	PEER_MEMORY,
	PEER_SMALL,
	PEER_KICK, /* one for each queue */
	PEER_CALL = PEER_KICK + BACKEND_QUEUES,
	PEER_FULL, /* an eventfd that takes no more */
	PEER_PIPE_READ,
	PEER_PIPE_WRITE,
	PEER_READ_ONLY,
	PEER_NULL,
	PEER_FOLDER,
	PEER_SPARSE,  /* a large file of nothing */
	PEER_CHANNEL, /* the back-end's end of a socket */
	PEER_RECORD,  /* the in-flight region, or an eventfd before it came */
	PEER_NR_FILES
};

struct peer_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* as its header says */
	uint32_t payload_bytes;
	uint8_t payload[PEER_MAX_PAYLOAD];
	unsigned int nr_files;
	uint8_t files[PEER_MAX_FDS]; /* enum peer_file */
	unsigned int cut; /* bytes that go ahead of the rest; 0: none */
};

struct fuzz_peer {
	struct fuzz_backend *backend;
	int fd;	     /* -1: not connected */
	int channel; /* our end; -1: not made */
	int files[PEER_NR_FILES];
	uint64_t memory_bytes; /* of PEER_MEMORY now */
	bool is_framed; /* all that was sent since the connection began */
	unsigned int nr_sent;
	unsigned int nr_answered;
	bool is_mixed; /* the channel was given for something else, too */
	bool had_fd;   /* what was read last: there may be more behind it */
	uint32_t sent[PEER_MAX_SENT];
	uint16_t avail[BACKEND_QUEUES]; /* the driver's own positions */
};

/* Once a program */
void peer_create(struct fuzz_peer *peer);

/* Set back all files, and connect. */
void peer_begin(struct fuzz_peer *peer, struct fuzz_backend *backend);
void peer_connect(struct fuzz_peer *peer);
void peer_disconnect(struct fuzz_peer *peer);
void peer_end(struct fuzz_peer *peer);

/* Send, and let the device do what it does; answers are read and checked. */
void peer_send(struct fuzz_peer *peer, const struct peer_message *message);

/* Bytes without form */
void peer_send_raw(struct fuzz_peer *peer, const void *data, size_t bytes);

/* On the channel: take what is there, answer it as the input says. */
void peer_answer(struct fuzz_peer *peer, struct fuzz_input *in);

/* Bytes of memory, if they are in its file */
void peer_write(struct fuzz_peer *peer, uint64_t offset, const void *data,
		size_t bytes);
void peer_truncate(struct fuzz_peer *peer, uint64_t bytes);

#endif
