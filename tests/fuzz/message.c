/* SPDX-License-Identifier: MIT */
/*
 * message - fuzzes a device through its socket
 *
 * A front-end of which nothing is to be trusted: messages in any order, of any
 * form, in pieces, with any files; memory that is taken back; answers that are
 * wrong or never read; rings written over; an end at any moment. After each
 * run all that the session has cost is given back: files, mappings, queues.
 */
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/payload.h"

#define MAX_STEPS 96

static struct fuzz_peer peer;
static struct fuzz_backend backend;
static bool is_created;

static void create(void)
{
	fuzz_keep_quiet();
	FUZZ_CHECK(!rh_device_guard_memory());
	peer_create(&peer);
	is_created = true;
}

static void send_message(struct fuzz_input *in, bool is_spoilt)
{
	uint8_t choice = fuzz_u8(in);
	uint32_t request = choice < 0xf0 ? choice % VHOST_USER_REQUEST_END :
					   1u << (16 + choice % 16);
	struct peer_message message;

	payload_make(in, request, &message);
	if (is_spoilt)
		payload_spoil(in, &message);
	peer_send(&peer, &message);
}

static void send_rubbish(struct fuzz_input *in)
{
	uint8_t bytes[64];
	size_t nr = fuzz_u8(in) % sizeof(bytes);

	fuzz_bytes(in, bytes, nr);
	peer_send_raw(&peer, bytes, nr);
}

/* Two descriptors of queue index, and its index one on */
static void add_split(unsigned int index, struct fuzz_input *in)
{
	uint64_t ring = index * PAYLOAD_RING;
	uint8_t choice = fuzz_u8(in);
	const struct virtq_desc descs[2] = {
		{ le64_make(0x8000 + choice * 8u), le32_make(16 + choice),
		  le16_make(VIRTQ_DESC_F_NEXT), le16_make(1) },
		{ le64_make(choice & 1 ? PEER_MEMORY_BYTES - 8 : 0x9000),
		  le32_make(choice & 2 ? 512 : 16),
		  le16_make(VIRTQ_DESC_F_WRITE), le16_make(0) },
	};
	const struct le16 head = le16_make(choice & 4 ? choice : 0);
	uint16_t at = peer.avail[index]++;
	const struct le16 idx = le16_make(peer.avail[index]);

	peer_write(&peer, ring, descs, sizeof(descs));
	peer_write(&peer, ring + PAYLOAD_AVAIL + 4 + at % 8 * 2u, &head,
		   sizeof(head));
	peer_write(&peer, ring + PAYLOAD_AVAIL + 2, &idx, sizeof(idx));
}

static void add_packed(unsigned int index, struct fuzz_input *in)
{
	uint64_t ring = index * PAYLOAD_RING;
	uint8_t choice = fuzz_u8(in);
	uint16_t at = peer.avail[index]++;
	uint16_t owner = at / 8 & 1 ? VIRTQ_DESC_F_USED : VIRTQ_DESC_F_AVAIL;
	const struct pvirtq_desc desc = {
		.addr = le64_make(0x8000 + choice * 128u),
		.len = le32_make(choice & 1 ? 64 : 0x1000),
		.id = le16_make(choice / 2 % 9),
		.flags = le16_make(owner | VIRTQ_DESC_F_WRITE),
	};

	peer_write(&peer, ring + at % 8 * sizeof(desc), &desc, sizeof(desc));
}

static void write_memory(struct fuzz_input *in)
{
	uint8_t bytes[16];
	uint64_t at = fuzz_u16(in);
	size_t nr = 1 + fuzz_u8(in) % sizeof(bytes);

	fuzz_bytes(in, bytes, nr);
	peer_write(&peer, at, bytes, nr);
}

static void act_as_guest(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	unsigned int index = choice / 4 % BACKEND_QUEUES;

	switch (choice % 4) {
	case 0:
		add_split(index, in);
		break;
	case 1:
		add_packed(index, in);
		break;
	case 2:
		write_memory(in);
		break;
	case 3:
		rh_eventfd_signal(peer.files[PEER_CALL]);
		break;
	}
	backend_turn(&backend);
	backend_run(&backend);
}

static void take_memory(struct fuzz_input *in)
{
	static const uint64_t sizes[] = { PEER_MEMORY_BYTES, 0, 0x1000, 0x8000,
					  0x8800 };

	peer_truncate(&peer, sizes[fuzz_u8(in) % ARRAY_SIZE(sizes)]);
	backend_turn(&backend);
	backend_run(&backend);
}

static void step(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 16) {
	case 0:
		payload_set_up(&peer, in);
		break;
	case 1:
	case 2:
	case 3:
		send_message(in, true);
		break;
	case 4:
	case 5:
		act_as_guest(in);
		break;
	case 6:
	case 7:
		backend_act(&backend, in);
		backend_run(&backend);
		break;
	case 8:
		peer_answer(&peer, in);
		break;
	case 9:
		take_memory(in);
		break;
	case 10:
		peer_connect(&peer);
		break;
	case 11:
		send_rubbish(in);
		break;
	default:
		send_message(in, false);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };
	uint8_t choice = fuzz_u8(&in);

	if (!is_created)
		create();
	fuzz_note_fds();
	host_allow_postcopy(choice & 64, !(choice & 128));
	backend_create(&backend, choice);
	peer_begin(&peer, &backend);
	for (int i = 0; i < MAX_STEPS && fuzz_more(&in); i++)
		step(&in);
	peer_end(&peer);
	backend_destroy(&backend);
	FUZZ_CHECK(!host_nr_mappings());
	fuzz_check_fds();
	return 0;
}
