/* SPDX-License-Identifier: MIT */
/*
 * device-call - a call fd is exchanged under a running queue
 *
 * The moment of the exchange is caught by a system call filter: the thread
 * that runs the device stops there until this one has looked.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-world.h"

struct exchange {
	struct world world;
	int new_call;
	int filter_pipe[2]; /* the filter's fd, or -1, to who looks */
	uint64_t failed;
};

/* dup3(2) of this thread waits for whoever has the returned fd. */
static int watch_dup3(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_dup3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static uint64_t set_call(struct world *world, int fd)
{
	const uint64_t index = 0;

	return world_ask(world, VHOST_USER_SET_VRING_CALL, &index,
			 sizeof(index), fd);
}

static void *exchange_it(void *opaque)
{
	struct exchange *exchange = opaque;
	int filter = watch_dup3();

	if (write(exchange->filter_pipe[1], &filter, sizeof(filter)) ==
		    sizeof(filter) &&
	    filter >= 0)
		exchange->failed =
			set_call(&exchange->world, exchange->new_call);
	return NULL;
}

static bool is_signalled(int fd)
{
	struct pollfd pollfd = { fd, POLLIN, 0 };

	return poll(&pollfd, 1, 0) == 1;
}

/* Wait for dup3(2), look at fd, and let the call go on. */
static bool is_signalled_at_dup3(int filter, int fd)
{
	struct seccomp_notif_resp answer = { 0 };
	struct seccomp_notif call = { 0 };
	bool signalled;

	assert_int_equal(ioctl(filter, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
	signalled = is_signalled(fd);
	answer.id = call.id;
	answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	assert_int_equal(ioctl(filter, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
	return signalled;
}

/*
 * Behaviour 31. A driver that was notified before the exchange looks at the
 * ring too early for what is completed, and told to the old fd, after that.
 */
static void a_new_call_fd_is_signalled_when_it_is_in_use(void **state)
{
	struct exchange exchange = { .failed = 9 };
	int old_call = rh_eventfd_create();
	bool too_early = false;
	pthread_t thread;
	int filter;

	(void)state;
	exchange.new_call = rh_eventfd_create();
	world_create_running(&exchange.world);
	assert_int_equal(set_call(&exchange.world, old_call), 0);
	assert_true(is_signalled(old_call));

	assert_int_equal(pipe(exchange.filter_pipe), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange_it, &exchange),
			 0);
	assert_int_equal(read(exchange.filter_pipe[0], &filter, sizeof(filter)),
			 sizeof(filter));
	if (filter >= 0)
		too_early = is_signalled_at_dup3(filter, exchange.new_call);
	pthread_join(thread, NULL);
	rh_fd_close(&exchange.filter_pipe[0]);
	rh_fd_close(&exchange.filter_pipe[1]);
	if (filter < 0) {
		world_destroy(&exchange.world);
		skip();
	}
	assert_int_equal(exchange.failed, 0);
	assert_false(too_early);
	assert_true(is_signalled(exchange.new_call));

	close(filter);
	close(old_call);
	close(exchange.new_call);
	world_destroy(&exchange.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_call_fd_is_signalled_when_it_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
