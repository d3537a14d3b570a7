/* SPDX-License-Identifier: MIT */
/*
 * sandbox_filter - no system call but those that serving a disk takes
 *
 * The table below is the whole list. What is not in it fails with EPERM, so
 * that a C library which tries something new goes on without it. What only
 * somebody who has taken over a thread would call ends the process: to start
 * a program or a process, to look into another process, to make a socket or a
 * ring, memory to execute, and the calls that are known as ways into the
 * kernel.
 *
 * Calls of the data path are allowed whatever their arguments are: since Linux
 * 5.11 the kernel then runs no filter for them but looks at a bitmap. All
 * others are found in a binary tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "server/sandbox_internal.h"

#define ALLOW SCMP_ACT_ALLOW
#define KILL  SCMP_ACT_KILL_PROCESS

/* In Linux since 6.1, in its headers a little later. */
#define USERFAULTFD_NEW _IO(UFFDIO, 0x00)

/* An int argument: the kernel does not look at the upper half either. */
#define INT_MASK UINT64_C(0xffffffff)

#define CLONE_NEW_ANYTHING                                                     \
	((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |             \
		    CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |              \
		    CLONE_NEWNET))

/* See struct sandbox_options. */
enum when {
	ALWAYS,
	UNLESS_IT_OPENS,
	IF_IT_OPENS,
	IF_IT_BINDS_TCP,
};

/* The call's argument, masked, is value; mask 0: whatever it is. */
struct rule {
	int syscall;
	uint32_t action;
	enum when when;
	unsigned int argument;
	uint64_t mask;
	uint64_t value;
};

#define ANY(name)                                                              \
	{                                                                      \
		SCMP_SYS(name), ALLOW, ALWAYS, 0, 0, 0                         \
	}
#define INT(name, number, is)                                                  \
	{                                                                      \
		SCMP_SYS(name), ALLOW, ALWAYS, number, INT_MASK, is            \
	}
#define FATAL(name)                                                            \
	{                                                                      \
		SCMP_SYS(name), KILL, ALWAYS, 0, 0, 0                          \
	}

#define OPENS(name)                                                            \
	{                                                                      \
		SCMP_SYS(name), ALLOW, IF_IT_OPENS, 0, 0, 0                    \
	}
#define OPENS_INT(name, number, is)                                            \
	{                                                                      \
		SCMP_SYS(name), ALLOW, IF_IT_OPENS, number, INT_MASK, is       \
	}
#define BINDS_TCP_INT(name, number, is)                                        \
	{                                                                      \
		SCMP_SYS(name), ALLOW, IF_IT_BINDS_TCP, number, INT_MASK, is   \
	}
#define FATAL_UNLESS_IT_OPENS(name)                                            \
	{                                                                      \
		SCMP_SYS(name), KILL, UNLESS_IT_OPENS, 0, 0, 0                 \
	}

static const struct rule rules[] = {
	/* the data path */
	ANY(io_uring_enter),
	ANY(read),
	ANY(write),
	ANY(futex),
	ANY(epoll_wait),
	ANY(epoll_pwait),
	ANY(io_submit),
	ANY(io_getevents),
	ANY(preadv),
	ANY(pwritev),
	ANY(preadv2),
	ANY(pwritev2),
	ANY(fdatasync),
	ANY(fallocate),
	ANY(clock_gettime),
	INT(ioctl, 1, BLKDISCARD),
	INT(ioctl, 1, BLKZEROOUT),

	/* its set-up: a queue starts or stops, an engine's first operation */
	INT(io_uring_register, 1, IORING_REGISTER_ENABLE_RINGS),
	ANY(io_setup),
	ANY(io_destroy),
	ANY(eventfd2),
	ANY(epoll_create1),
	ANY(epoll_ctl),

	/* the connection: no address can be given, but to who is connected */
	ANY(poll),
	ANY(ppoll),
	ANY(accept4),
	ANY(recvmsg),
	ANY(sendmsg),
	ANY(recvfrom),
	ANY(sendto),
	ANY(getsockopt),
	INT(setsockopt, 2, SO_LINGER),
	ANY(shutdown),
	ANY(timerfd_create),
	ANY(timerfd_settime),

	/* files that are open, or that the front-end sends */
	ANY(close),
	ANY(dup3),
	ANY(pipe2),
	ANY(splice),
	ANY(fstat),
	ANY(fstatfs),
	ANY(newfstatat), /* the C library's fstat() */
	ANY(statx),
	ANY(readlink), /* /proc/self/fd: is it an eventfd? */
	ANY(readlinkat),
	ANY(pread64),
	ANY(memfd_create),
	ANY(ftruncate),
	INT(fcntl, 1, F_DUPFD_CLOEXEC),
	INT(fcntl, 1, F_GETFL),
	INT(fcntl, 1, F_SETFL),
	INT(fcntl, 1, F_OFD_SETLK),
	INT(fcntl, 1, F_OFD_GETLK),
	INT(fcntl, 1, F_ADD_SEALS),
	INT(fcntl, 1, F_GET_SEALS),
	INT(ioctl, 1, BLKGETSIZE64),

	/* pages of guest memory that arrive later */
	INT(userfaultfd, 0, O_CLOEXEC | O_NONBLOCK),
	INT(ioctl, 1, USERFAULTFD_NEW),
	INT(ioctl, 1, UFFDIO_API),
	INT(ioctl, 1, UFFDIO_REGISTER),
	INT(ioctl, 1, UFFDIO_UNREGISTER),
	INT(ioctl, 1, UFFDIO_WAKE),

	/* memory, but none to execute */
	{ SCMP_SYS(mmap), ALLOW, ALWAYS, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mmap), KILL, ALWAYS, 2, PROT_EXEC, PROT_EXEC },
	{ SCMP_SYS(mprotect), ALLOW, ALWAYS, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), KILL, ALWAYS, 2, PROT_EXEC, PROT_EXEC },
	ANY(munmap),
	ANY(mremap),
	ANY(madvise),
	ANY(brk),

	/* threads, but no processes. clone3 hides its flags in memory, so the
	   C library is told to use the older call. */
	{ SCMP_SYS(clone), ALLOW, ALWAYS, 0, CLONE_THREAD | CLONE_NEW_ANYTHING,
	  CLONE_THREAD },
	{ SCMP_SYS(clone), KILL, ALWAYS, 0, CLONE_THREAD, 0 },
	{ SCMP_SYS(clone3), SCMP_ACT_ERRNO(ENOSYS), ALWAYS, 0, 0, 0 },
	INT(prctl, 0, PR_SET_NAME),
	ANY(set_robust_list),
	ANY(rseq),
	ANY(sched_getaffinity),
	ANY(sched_yield),
	ANY(gettid),
	ANY(getpid),
	ANY(exit),
	ANY(exit_group),

	/* signals: handlers and masks of its own */
	ANY(rt_sigaction),
	ANY(rt_sigprocmask),
	ANY(rt_sigreturn),
	ANY(rt_sigpending),
	ANY(rt_sigtimedwait),
	ANY(restart_syscall),
	ANY(clock_nanosleep),
	ANY(getrandom), /* the C library's heap */

	/* images, sockets and threads that come and go while it serves; of
	   sockets those of this host only */
	OPENS(openat),
	OPENS_INT(socket, 0, AF_UNIX),
	BINDS_TCP_INT(socket, 0, AF_INET),
	BINDS_TCP_INT(socket, 0, AF_INET6),
	BINDS_TCP_INT(setsockopt, 2, SO_REUSEADDR),
	OPENS(bind),
	OPENS(listen),
	OPENS(connect),
	OPENS(getsockname),
	OPENS(access),
	OPENS(faccessat),
	OPENS(faccessat2),
	OPENS(chmod),
	OPENS(fchmod),
	OPENS(fchmodat),
	OPENS(lchown),
	OPENS(fchown),
	OPENS(fchownat),
	OPENS(unlink),
	OPENS(unlinkat),
	OPENS(lseek),
	OPENS(getcwd),
	OPENS(chdir),
	OPENS(dup),
	OPENS_INT(fcntl, 1, F_GETFD),
	OPENS_INT(fcntl, 1, F_SETFD),
	OPENS_INT(ioctl, 1, BLKROGET),
	OPENS_INT(ioctl, 1, BLKSSZGET),
	OPENS_INT(ioctl, 1, BLKPBSZGET),
	OPENS_INT(ioctl, 1, BLKIOOPT),
	OPENS(io_uring_setup),
	OPENS_INT(io_uring_register, 1, IORING_REGISTER_RESTRICTIONS),
	OPENS_INT(io_uring_register, 1, IORING_REGISTER_PROBE),

	/* configuration and state that is kept in files */
	OPENS(getdents64),
	OPENS(fsync),
	OPENS_INT(fcntl, 1, F_SETLK),
	OPENS_INT(fcntl, 1, F_GETLK),
	OPENS(mkdir),
	OPENS(mkdirat),
	OPENS(rename),
	OPENS(renameat),
	OPENS(renameat2),
	OPENS(inotify_init1),
	OPENS(inotify_add_watch),
	OPENS(inotify_rm_watch),

	/* metrics: an HTTP server, and what the process takes */
	OPENS(writev),
	OPENS_INT(setsockopt, 2, TCP_NODELAY),
	OPENS_INT(setsockopt, 2, TCP_CORK),
	OPENS_INT(prlimit64, 0, 0),
	OPENS(getrusage),

	/* who and when we are */
	OPENS(getuid),
	OPENS(geteuid),
	OPENS(getgid),
	OPENS(getegid),
	OPENS(gettimeofday),

	/* nothing that the server does */
	FATAL(execve),
	FATAL(execveat),
	FATAL(fork),
	FATAL(vfork),
	FATAL(ptrace),
	FATAL(process_vm_readv),
	FATAL(process_vm_writev),
	FATAL(pidfd_getfd),
	FATAL_UNLESS_IT_OPENS(socket),
	FATAL(socketpair),
	FATAL_UNLESS_IT_OPENS(connect),
	FATAL_UNLESS_IT_OPENS(bind),
	FATAL_UNLESS_IT_OPENS(listen),
	FATAL_UNLESS_IT_OPENS(io_uring_setup),
	FATAL(bpf),
	FATAL(perf_event_open),
	FATAL(add_key),
	FATAL(request_key),
	FATAL(keyctl),
	FATAL(unshare),
	FATAL(setns),
	FATAL(mount),
	FATAL(umount2),
	FATAL(pivot_root),
	FATAL(chroot),
	FATAL(open_by_handle_at),
	FATAL(init_module),
	FATAL(finit_module),
	FATAL(delete_module),
	FATAL(kexec_load),
	FATAL(kexec_file_load),
};

static int add_rule(scmp_filter_ctx filter, const struct rule *rule)
{
	const struct scmp_arg_cmp condition =
		SCMP_CMP(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask,
			 rule->value & rule->mask);

	return seccomp_rule_add_array(filter, rule->action, rule->syscall,
				      rule->mask ? 1 : 0, &condition);
}

/* A failed assert ends the process; see kill(2) for what it may not. */
static int allow_signals(scmp_filter_ctx filter,
			 const struct sandbox_options *options)
{
	const struct rule of_ourselves = INT(tgkill, 0, (uint64_t)getpid());
	const struct rule of_child = INT(kill, 0, (uint64_t)options->child);
	const struct rule wait = INT(wait4, 0, (uint64_t)options->child);
	int error = add_rule(filter, &of_ourselves);

	if (!error && options->child > 0)
		error = add_rule(filter, &of_child);
	if (!error && options->child > 0)
		error = add_rule(filter, &wait);
	return error;
}

/* No other directory, no other name, as long as that is not overwritten. */
static int allow_removal(scmp_filter_ctx filter,
			 const struct sandbox_options *options)
{
	const struct scmp_arg_cmp conditions[] = {
		SCMP_CMP(0, SCMP_CMP_MASKED_EQ, INT_MASK,
			 (uint64_t)options->directory_fd),
		SCMP_CMP(1, SCMP_CMP_EQ, (uintptr_t)options->file_name),
		SCMP_CMP(2, SCMP_CMP_MASKED_EQ, INT_MASK, 0),
	};

	if (options->directory_fd < 0)
		return 0;
	return seccomp_rule_add_array(filter, ALLOW, SCMP_SYS(unlinkat),
				      ARRAY_SIZE(conditions), conditions);
}

static bool applies(const struct rule *rule,
		    const struct sandbox_options *options)
{
	switch (rule->when) {
	case IF_IT_OPENS:
		return options->opens;
	case IF_IT_BINDS_TCP:
		return options->binds_tcp;
	case UNLESS_IT_OPENS:
		return !options->opens;
	default:
		return true;
	}
}

static int fill(scmp_filter_ctx filter, const struct sandbox_options *options)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, KILL);

	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; !error && i < ARRAY_SIZE(rules); i++) {
		if (applies(&rules[i], options))
			error = add_rule(filter, &rules[i]);
	}
	if (!error)
		error = allow_signals(filter, options);
	if (!error)
		error = allow_removal(filter, options);
	return error;
}

int sandbox_enter_filter(const struct sandbox_options *options,
			 const char **why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	error = fill(filter, options);
	if (!error) {
		error = seccomp_load(filter);
		if (error)
			*why = "this kernel does not take one";
	}
	seccomp_release(filter);
	malloc_trim(0); /* libseccomp has used more than we ever will */
	return error;
}
