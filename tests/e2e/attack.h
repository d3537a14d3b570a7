/* SPDX-License-Identifier: MIT */
/*
 * attack - one message to a session, in each of the states that it can be in
 *
 * Fresh: connected, and nothing was said yet; there is no acknowledgement, so
 * that what is refused ends the session. Negotiated: all that a VMM accepts,
 * and more, but neither memory nor rings. Under I/O: two rings that run, and a
 * load on the second one, in a thread; queue 0 is for the attack.
 *
 * Functions assert what they need; what the back-end makes of it they return.
 * Owner: the test's thread, besides the load's queue.
 */
#ifndef E2E_ATTACK_H
#define E2E_ATTACK_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/e2e/hostile.h"
#include "tests/e2e/probe.h"

enum attack_state {
	ATTACK_FRESH,
	ATTACK_NEGOTIATED,
	ATTACK_UNDER_IO,
	NR_ATTACK_STATES,
};

struct attack {
	enum attack_state state;
	struct client client;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_done; /* requests of the load */
	atomic_int error;
};

/* What else to negotiate where a message needs it */
#define ATTACK_PROTOCOL (FE_PROTOCOL_LOG_SHMFD | FE_PROTOCOL_STATUS)

/*
 * Open a session in this state. more_protocol: features besides the usual
 * ones, for those that have negotiated.
 */
void attack_begin(struct attack *attack, const struct server *server,
		  enum attack_state state, uint64_t more_protocol);

/*
 * Send a message. Returns one of probe.h's outcomes; PROBE_STUCK if a session
 * under I/O was not ended by it, and yet one of its rings does not go on.
 */
int attack_message(struct attack *attack, struct fe_message *message,
		   const int *fds, unsigned int nr_fds);

/* True if both rings go on. */
bool attack_goes_on(struct attack *attack);

void attack_end(struct attack *attack);

/* What is sent along */
enum attack_fd {
	ATTACK_NO_FD,
	ATTACK_MEMORY_FD, /* of ATTACK_MEMORY_BYTES that nobody uses */
	ATTACK_EVENT_FD,
	ATTACK_FILE_FD,
	ATTACK_DIR_FD,
	ATTACK_READ_ONLY_FD, /* of the same memory */
	ATTACK_SOCKET_FD,
	NR_ATTACK_FDS,
};

#define ATTACK_MEMORY_BYTES (4u << 20)

/* Valid until the program's end. */
int attack_fd(enum attack_fd which);

/* A message, and what is to become of it in each state */
struct attack_case {
	const char *what;
	struct {
		uint32_t request;
		uint32_t size;
		union {
			uint64_t u64;
			struct fe_vring_state state;
			struct fe_vring_addr addr;
			struct fe_wire_table table;
			struct fe_wire_single single;
			struct fe_wire_config config;
			struct fe_wire_log log;
			struct fe_wire_iotlb iotlb;
			struct fe_wire_inflight inflight;
			uint64_t words[9];
		};
	} message;
	enum attack_fd fd;
	unsigned int nr_fds;
	int expected[NR_ATTACK_STATES];
};

/* In a session that is fresh, has negotiated, is under I/O */
#define ATTACK_NAK                                                             \
	{                                                                      \
		PROBE_CLOSED, PROBE_NAK, PROBE_NAK                             \
	}
#define ATTACK_CLOSED                                                          \
	{                                                                      \
		PROBE_CLOSED, PROBE_CLOSED, PROBE_CLOSED                       \
	}

/*
 * Try all cases in all states, and check the server after each case; the test
 * fails with a line for each difference.
 */
void attack_all(struct hostile *hostile, const struct attack_case *cases,
		unsigned int nr_cases);

#endif
