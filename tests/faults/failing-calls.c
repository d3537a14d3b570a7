/* SPDX-License-Identifier: MIT */
/*
 * failing-calls - runs a program, one of whose system calls fails
 *
 *   FAULT_PLAN=FD FAULT_PROGRAM=PATH failing-calls ARGUMENT...
 *
 * The process becomes the program, under a seccomp filter that asks about the
 * calls of the plan. A watcher, which shares nothing with it but the plan,
 * counts and answers: to go on, or that the call has failed. So a call of any
 * thread can fail, in a program that was built without a thought of it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/faults/plan.h"

/* Of a reserved size: the kernel may know longer messages. */
union answer {
	struct seccomp_notif_resp resp;
	uint8_t room[512];
};

union question {
	struct seccomp_notif notif;
	uint8_t room[512];
};

_Noreturn static void die(const char *what)
{
	perror(what);
	_exit(EXIT_FAILURE);
}

static struct plan *map_plan(void)
{
	const char *number = getenv(PLAN_VARIABLE);
	int fd = number ? atoi(number) : -1;
	struct plan *plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);

	if (plan == MAP_FAILED)
		die("failing-calls: " PLAN_VARIABLE);
	close(fd);
	return plan;
}

/* One call is asked about, or all. */
static void install_filter(struct plan *plan)
{
	struct sock_filter one[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 plan->rows[plan->see_row].call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter all[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { ARRAY_SIZE(one), one };
	long fd;

	if (plan->see_all)
		program = (struct sock_fprog){ ARRAY_SIZE(all), all };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("failing-calls: PR_SET_NO_NEW_PRIVS");
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (fd < 0) {
		perror("failing-calls: SECCOMP_SET_MODE_FILTER");
		_exit(PLAN_NO_FAULTS);
	}
	atomic_store(&plan->listener, (int)fd);
}

static bool is_of_row(const struct seccomp_notif *notif,
		      const struct plan_row *row)
{
	char path[64];
	char link[sizeof(row->file)];
	size_t length = strlen(row->file);

	if ((uint32_t)notif->data.nr != row->call ||
	    (row->by_value && notif->data.args[1] != row->value))
		return false;
	if (!length)
		return true;
	snprintf(path, sizeof(path), "/proc/%u/fd/%d", notif->pid,
		 (int)notif->data.args[0]);
	return readlink(path, link, length) == (ssize_t)length &&
	       !memcmp(link, row->file, length);
}

static bool fails(struct plan *plan, const struct seccomp_notif *notif)
{
	bool ret = false;

	atomic_fetch_add(
		&plan->made[(unsigned int)notif->data.nr % PLAN_MAX_NUMBERS],
		1);
	for (unsigned int i = 0; i < plan->nr_rows; i++)
		if (is_of_row(notif, &plan->rows[i]))
			ret |= plan_fails(plan, i);
	return ret;
}

static void answer(struct plan *plan, int listener)
{
	union question question = { 0 };
	union answer answer = { 0 };

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return; /* who asked is gone */
	answer.resp.id = question.notif.id;
	answer.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (fails(plan, &question.notif)) {
		answer.resp.flags = 0;
		answer.resp.error = -atomic_load(&plan->error);
	}
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Until nobody is left who could ask. */
_Noreturn static void watch(struct plan *plan)
{
	struct pollfd pollfd = { .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((pollfd.fd = atomic_load(&plan->listener)) < 0)
		sched_yield();
	if (unshare(CLONE_FILES) < 0)
		die("failing-calls: unshare");
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	atomic_store(&plan->watched, true);
	while (!(pollfd.revents & POLLHUP)) {
		if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
			break;
		if (pollfd.revents & POLLIN)
			answer(plan, pollfd.fd);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct plan *plan = map_plan();
	const char *program = getenv(PLAN_PROGRAM);
	long watcher;

	(void)argc;
	atomic_store(&plan->listener, -1);
	atomic_store(&plan->watched, false);
	/* one table of fds, through which the listener's goes over */
	watcher = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (watcher < 0)
		die("failing-calls: clone");
	if (watcher == 0)
		watch(plan);
	install_filter(plan);
	while (!atomic_load(&plan->watched))
		sched_yield();
	if (program)
		execv(program, argv);
	die("failing-calls: " PLAN_PROGRAM);
}
