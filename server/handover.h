/* SPDX-License-Identifier: MIT */
/*
 * handover - a new daemon takes the place of the one that runs
 *
 * The new one connects to the control socket of the old one, asks what there
 * is, and makes the same without sockets, while the guests of the old one go
 * on. Then it asks for the rest:
 *
 *	taker  > x-hand-over, and when that is answered a byte
 *	giver    freezes its exports
 *	giver  > the secrets, which syncs have failed (node.h), and each
 *		 export with its session (exports.h)
 *	taker  > a byte: all of it is understood
 *	giver    lets go
 *	giver  > a byte: they are yours
 *	taker    thaws them
 *
 * Whatever goes wrong before the giver lets go, the giver goes on with all that
 * it had. The guests stand still from the freeze to the thaw.
 *
 * Control thread.
 */
#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/loop.h"
#include "server/qmp/call.h"

struct daemon;

enum giver_state {
	GIVER_IDLE,
	GIVER_ASKED,  /* the taker has the answer, and says when */
	GIVER_FREEZES /* requests are under way */
};

/* What the daemon has of it while another one takes over. */
struct giver {
	enum giver_state state;
	struct daemon *daemon;
	struct loop_watch socket; /* of the taker; owned */
	struct loop_watch timer;  /* owned, too */
	uint64_t generation;	  /* of the journal that the taker has */
	bool has_given;		  /* the process has nothing any more */
};

void giver_init(struct giver *giver, struct daemon *daemon);
void giver_deinit(struct giver *giver);

/* One that does not come to its end is given up, and all goes on here. */
void giver_begin(struct giver *giver, struct qmp_call *call,
		 uint64_t generation);

/* True while nothing may be changed. */
static inline bool giver_busy(const struct giver *giver)
{
	return giver->state != GIVER_IDLE || giver->has_given;
}

struct taker;

/* No process has this control socket. */
bool taker_has_nobody(const char *path);

/*
 * Make all that the daemon has whose control socket is at path. Returns 0 with
 * *ret set, or -errno (logged).
 */
int taker_begin(struct daemon *daemon, const char *path, struct taker **ret);

/*
 * Take over: from the return of this on the guests are ours. Returns 0, or
 * -errno (logged): then the other one goes on, and all that came from it is
 * gone here.
 */
int taker_finish(struct taker *taker);

/* Where that one listens for commands: objects with a path. Not owned. */
const json_t *taker_monitors(const struct taker *taker);

/*
 * Serve commands where the other one did, but for what the daemon has already.
 * What cannot be is logged: there are guests to be served.
 */
void taker_add_monitors(struct taker *taker);

/* NULL is accepted. */
void taker_free(struct taker *taker);

#endif
