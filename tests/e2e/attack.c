/* SPDX-License-Identifier: MIT */
/*
 * attack - one message to a session, in each of the states that it can be in
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/attack.h"
#include "tests/frontend/clock.h"

#define LOAD_DEPTH 8
#define LOOK_MSEC  20 /* how long the load may not notice its end */
#define LOAD_QUEUE 1

static const char *const state_names[NR_ATTACK_STATES] = {
	"fresh",
	"negotiated",
	"under I/O",
};

static int submit_load(struct fe_blk *blk, uint64_t *next)
{
	struct fe_blk_request *request;
	int ret;

	while ((request = fe_blk_get(blk))) {
		/* behind all that client_check_io() uses */
		request->sector = 4096 + *next % 512 * 8;
		request->data_bytes = 4096;
		request->type = *next % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		ret = fe_blk_add(request);
		if (ret < 0)
			return ret;
		(*next)++;
	}
	fe_vring_submit(blk->vring);
	return 0;
}

static int reap_load(struct attack *attack, struct fe_blk *blk)
{
	struct fe_blk_request *request;
	int ret;

	while ((ret = fe_blk_reap(blk, &request)) > 0) {
		ret = fe_blk_result(request);
		fe_blk_put(request);
		if (ret)
			return ret;
		atomic_fetch_add(&attack->nr_done, 1);
	}
	return ret;
}

/* Until it is told to stop; a session that ends just brings nothing more. */
static void *run_load(void *opaque)
{
	struct attack *attack = opaque;
	struct fe_blk *blk = &attack->client.blks[LOAD_QUEUE];
	uint64_t next = 0;
	int error = 0;

	while (!error && !atomic_load(&attack->stop)) {
		error = submit_load(blk, &next);
		if (!error)
			error = fe_vring_wait(blk->vring, LOOK_MSEC);
		if (error == -ETIMEDOUT)
			error = 0;
		else if (!error)
			error = reap_load(attack, blk);
	}
	atomic_store(&attack->error, error);
	return NULL;
}

static bool load_goes_on(struct attack *attack)
{
	unsigned int before = atomic_load(&attack->nr_done);
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	/* more than were under way: some of them have begun only now */
	while (atomic_load(&attack->nr_done) - before <= LOAD_DEPTH) {
		if (atomic_load(&attack->error) || fe_now_usec() > deadline)
			return false;
		usleep(100);
	}
	return true;
}

void attack_begin(struct attack *attack, const struct server *server,
		  enum attack_state state, uint64_t more_protocol)
{
	const struct client_options options = {
		.nr_queues = 2,
		.depth = LOAD_DEPTH,
		.data_bytes = 4096,
		.more_protocol = more_protocol,
		.memory_bytes = 4u << 20,
	};
	struct client *client = &attack->client;

	attack->state = state;
	atomic_init(&attack->stop, false);
	atomic_init(&attack->nr_done, 0);
	atomic_init(&attack->error, 0);
	memset(client, 0, sizeof(*client));
	if (state == ATTACK_FRESH)
		assert_int_equal(fe_session_connect(&client->session,
						    server->socket),
				 0);
	else
		assert_int_equal(client_connect(client, server, &options), 0);
	assert_int_equal(client_prepare(client, &options), 0);
	if (state != ATTACK_UNDER_IO)
		return;
	assert_int_equal(client_start(client), 0);
	assert_int_equal(client_check_io(client, 0, 1), 0);
	assert_int_equal(
		pthread_create(&attack->thread, NULL, run_load, attack), 0);
	assert_true(load_goes_on(attack));
}

bool attack_goes_on(struct attack *attack)
{
	return load_goes_on(attack) &&
	       client_check_io(&attack->client, 0, 2) == 0;
}

int attack_message(struct attack *attack, struct fe_message *message,
		   const int *fds, unsigned int nr_fds)
{
	int outcome = probe_message(&attack->client, message, fds, nr_fds);

	if (attack->state == ATTACK_UNDER_IO &&
	    (outcome == PROBE_NAK || outcome == PROBE_OK) &&
	    !attack_goes_on(attack))
		return PROBE_STUCK;
	return outcome;
}

void attack_end(struct attack *attack)
{
	if (attack->state == ATTACK_UNDER_IO) {
		atomic_store(&attack->stop, true);
		pthread_join(attack->thread, NULL);
	}
	client_close(&attack->client);
}

static int make_fd(enum attack_fd which)
{
	char path[64];
	int ends[2];

	switch (which) {
	case ATTACK_MEMORY_FD:
		return rh_memfd_create("attack", ATTACK_MEMORY_BYTES);
	case ATTACK_EVENT_FD:
		return rh_eventfd_create();
	case ATTACK_FILE_FD:
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	case ATTACK_DIR_FD:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case ATTACK_READ_ONLY_FD:
		snprintf(path, sizeof(path), "/proc/self/fd/%d",
			 attack_fd(ATTACK_MEMORY_FD));
		return open(path, O_RDONLY | O_CLOEXEC);
	case ATTACK_SOCKET_FD:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
					    0, ends),
				 0);
		return ends[0];
	default:
		return -1;
	}
}

int attack_fd(enum attack_fd which)
{
	static int fds[NR_ATTACK_FDS]; /* 0: not made yet */

	if (!fds[which])
		fds[which] = make_fd(which);
	assert_true(fds[which] > 0 || which == ATTACK_NO_FD);
	return fds[which];
}

static int try(const struct server *server, const struct attack_case *this,
	       enum attack_state state)
{
	struct fe_message message;
	struct attack attack;
	int fds[FE_MAX_SENT_FDS];
	int outcome;

	fe_message_init(&message, this->message.request, this->message.size);
	memcpy(message.payload.bytes, &this->message.u64,
	       sizeof(this->message) - offsetof(typeof(this->message), u64));
	for (unsigned int i = 0; i < this->nr_fds; i++)
		fds[i] = attack_fd(this->fd);
	attack_begin(&attack, server, state, ATTACK_PROTOCOL);
	outcome = attack_message(&attack, &message, fds, this->nr_fds);
	attack_end(&attack);
	return outcome;
}

void attack_all(struct hostile *hostile, const struct attack_case *cases,
		unsigned int nr_cases)
{
	char what[128];

	for (unsigned int i = 0; i < nr_cases; i++) {
		for (enum attack_state state = 0; state < NR_ATTACK_STATES;
		     state++) {
			snprintf(what, sizeof(what), "%s: %s, %s",
				 fe_request_name(cases[i].message.request),
				 cases[i].what, state_names[state]);
			probe_expect(what, i,
				     try(&hostile->server, &cases[i], state),
				     cases[i].expected[state]);
		}
		if (!hostile_check(hostile))
			probe_expect(cases[i].what, i, PROBE_STUCK, PROBE_OK);
	}
	probe_verdict();
}
