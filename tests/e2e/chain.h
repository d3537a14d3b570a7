/* SPDX-License-Identifier: MIT */
/*
 * chain - one request in descriptors that a test may spoil, in any layout
 *
 * A client with two queues. On queue 0 lies a request that is good: a read of
 * a block with known contents. A test changes its pieces before they are laid
 * into descriptors, or the descriptors behind that, and pushes the chain; the
 * device sees nothing of it before. The same test so runs on split and packed
 * rings, with the descriptors in the ring or in an indirect table.
 *
 * What may become of it is a set of outcomes: chain_try() looks which one it
 * was, whether that is true to the letter (the ring breaks alone, once, and
 * works when it was set up anew; an answer says how many bytes were written;
 * nothing next to the buffers has changed), and whether both queues go on.
 */
#ifndef E2E_CHAIN_H
#define E2E_CHAIN_H

#include "tests/e2e/hostile.h"

enum layout {
	SPLIT_DIRECT,
	SPLIT_INDIRECT,
	PACKED_DIRECT,
	PACKED_INDIRECT,
	NR_LAYOUTS,
};

#define ON_SPLIT  (1u << SPLIT_DIRECT | 1u << SPLIT_INDIRECT)
#define ON_PACKED (1u << PACKED_DIRECT | 1u << PACKED_INDIRECT)
#define ON_RING	  (1u << SPLIT_DIRECT | 1u << PACKED_DIRECT)
#define ON_TABLE  (1u << SPLIT_INDIRECT | 1u << PACKED_INDIRECT)
#define ON_ALL	  (ON_SPLIT | ON_PACKED)

/* Outcomes, and sets of them */
#define GOES_WELL	 1u  /* S_OK */
#define FAILS		 2u  /* S_IOERR */
#define UNSUPPORTED	 4u  /* S_UNSUPP */
#define BREAKS		 8u  /* the ring, alone */
#define NOT_SEEN	 16u /* nothing: the device sees no chain */
#define ANY_ANSWER	 (GOES_WELL | FAILS | UNSUPPORTED)
#define ANY_OUTCOME	 (ANY_ANSWER | BREAKS)
#define OUT_OF_SHAPE	 32u /* an outcome, but not as it must be */

#define CHAIN_MEMORY_END CLIENT_MEMORY_BYTES
#define CHAIN_DATA_BYTES 4096u
#define CHAIN_SECTOR	 8u /* its contents are of seed 1 */
#define CHAIN_FILL	 0x5a
#define CHAIN_TABLE	 (-1) /* the descriptor that names the table */

struct piece {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags; /* WRITE, and others that a test adds */
};

struct chain {
	enum layout layout;
	struct client client;
	struct fe_vring *vring;		/* queue 0 */
	struct fe_blk_request *request; /* where header, data, status are */
	struct piece pieces[FE_BLK_MAX_PIECES];
	unsigned int nr;
	uint32_t used_bytes; /* of the last answer */
	uint32_t used_when_well;

	struct fe_place place; /* of its first descriptor in a packed ring */
	struct vring_desc *table;
	struct vring_packed_desc *packed_table;
};

/* A row of a table of cases; shape and spoil may be NULL. */
struct chain_row {
	const char *what;
	void (*shape)(struct chain *chain, uint64_t value); /* the pieces */
	void (*spoil)(struct chain *chain, uint64_t value); /* what was laid */
	uint64_t value;
	unsigned int outcomes; /* that may be */
	unsigned int layouts;  /* 0: all */
};

extern const char *const layout_names[NR_LAYOUTS];

/* Asserts that it comes about; queue 1 has written the block to be read. */
void chain_open(struct chain *chain, const struct server *server,
		enum layout layout);
void chain_close(struct chain *chain);

/* Both rings stop where they are, and go on there. */
void chain_stop(struct chain *chain);
void chain_start(struct chain *chain);

/* Share another region, unless there is one already. */
void chain_add_region(struct chain *chain, uint64_t addr, uint64_t bytes);

/* Set the request's fields, cut it anew. */
void chain_cut(struct chain *chain, uint32_t type, uint64_t sector,
	       uint32_t data_bytes);

/* Put a piece in front of piece i, or at the end; take piece i out. */
void chain_insert(struct chain *chain, unsigned int i, struct piece piece);
void chain_remove(struct chain *chain, unsigned int i);

/* Write the descriptors; still hidden from the device. */
void chain_lay(struct chain *chain);

/*
 * Change descriptor i of the chain as it was laid, or CHAIN_TABLE. next is of
 * split rings, id of packed ones. Flags are added to those that are there.
 */
void chain_set_addr(struct chain *chain, int i, uint64_t addr);
void chain_set_len(struct chain *chain, int i, uint32_t len);
void chain_set_flags(struct chain *chain, int i, uint16_t flags);
void chain_add_flags(struct chain *chain, int i, uint16_t flags);
void chain_set_next(struct chain *chain, int i, uint16_t next);
void chain_set_id(struct chain *chain, int i, uint16_t id);

/* A packed ring's flags as they are, at once, with nothing added. */
void chain_desc_flags(struct chain *chain, int i, uint16_t flags);

bool chain_is_packed(const struct chain *chain);
bool chain_is_indirect(const struct chain *chain);

/* Publish and kick, whatever the device says; and what becomes of it. */
void chain_push(struct chain *chain);
unsigned int chain_wait(struct chain *chain);

/* A good request on queue 0, with its data compared; returns 0 or -EIO. */
int chain_check(struct chain *chain);

/*
 * Push what was laid, wait; and see that it is one of these outcomes, and
 * that both queues work then. A difference is counted by probe_expect().
 */
void chain_try(struct chain *chain, const char *what, uint64_t detail,
	       unsigned int outcomes);

/*
 * All rows in all their layouts, each in a session of its own and twice; ten
 * thousand times where RINGHOST_SOAK is set. state: that of a test under
 * HOSTILE(), which fails if there was a difference.
 */
void chain_try_rows(void **state, const struct chain_row *rows, size_t nr);

#define TRY_CHAINS(rows) chain_try_rows(state, rows, ARRAY_SIZE(rows))

/* The server that is attacked. */
const struct server *chain_server(void **state);

#endif
