/* SPDX-License-Identifier: MIT */
/*
 * payload - a message as a front-end would send it, more or less
 *
 * From a few bytes of the input: the numbers of a sound message, picked from
 * small tables of good and bad ones, and the files that go with it; then, if
 * the input says so, spoilt.
 */
#ifndef TESTS_FUZZ_PAYLOAD_H
#define TESTS_FUZZ_PAYLOAD_H

#include "tests/fuzz/peer.h"

/* Where the front-end has the guest's memory, and queue i's ring in it */
#define PAYLOAD_USER  UINT64_C(0x7f0000000000)
#define PAYLOAD_RING  0x1000
#define PAYLOAD_AVAIL 0x400
#define PAYLOAD_USED  0x800

/* request: any; the message is sound. */
void payload_make(struct fuzz_input *in, uint32_t request,
		  struct peer_message *ret);

/* Change what the input says. */
void payload_spoil(struct fuzz_input *in, struct peer_message *message);

/* A whole handshake, up to queues that run, of which parts may be missing. */
void payload_set_up(struct fuzz_peer *peer, struct fuzz_input *in);

#endif
