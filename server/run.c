/* SPDX-License-Identifier: MIT */
/*
 * run - a VM with a disk: the server, and the VM's command as its child
 *
 * The child's death is a signal like any other to the server's loop. SIGTERM,
 * SIGINT and SIGHUP are the child's business and are passed on, except when
 * they came from the terminal, since the terminal sends them to the child too.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/run.h"
#include "server/run_command.h"

#define TAG	       "ringhost"
#define EXIT_BY_SIGNAL 128 /* as shells do */
#define EXIT_USAGE     2

struct vm {
	struct server_watch watch; /* busy: the child lives */
	struct server *server;
	pid_t pid;
	int status; /* of waitpid(2) */
};

static void look_for_death(struct vm *vm)
{
	if (!vm->watch.busy || waitpid(vm->pid, &vm->status, WNOHANG) <= 0)
		return;
	vm->watch.busy = false;
	server_stop(vm->server);
}

static bool take_signal(struct server_watch *watch,
			const struct signalfd_siginfo *info)
{
	struct vm *vm = container_of(watch, struct vm, watch);

	switch (info->ssi_signo) {
	case SIGCHLD:
		look_for_death(vm);
		return true;
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
		if (vm->watch.busy && info->ssi_code != SI_KERNEL)
			kill(vm->pid, (int)info->ssi_signo);
		return true;
	}
	return false;
}

static int start(struct vm *vm, char **command, int fd, const sigset_t *mask)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int error;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, fd); /* no O_CLOEXEC */
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, mask);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	error = posix_spawnp(&vm->pid, command[0], &actions, &attributes,
			     command, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		rh_log(RH_LOG_ERROR, TAG,
		       "cannot start %s: %s; is QEMU installed, and the name "
		       "right?",
		       command[0], strerror(error));
	else
		vm->watch.busy = true;
	return -error;
}

static int exit_status(const struct vm *vm)
{
	if (WIFSIGNALED(vm->status))
		return EXIT_BY_SIGNAL + WTERMSIG(vm->status);
	return WEXITSTATUS(vm->status);
}

/* The server failed first: the VM has lost its disk. */
static void end_child(struct vm *vm)
{
	if (!vm->watch.busy)
		return;
	kill(vm->pid, SIGTERM);
	while (waitpid(vm->pid, &vm->status, 0) < 0 && errno == EINTR)
		;
}

/* fds: our end, and the child's, which must not stay open here. */
static int serve_child(struct vm *vm, char **command, int fds[2],
		       const sigset_t *mask)
{
	int error = server_connect(vm->server, fds[0]);

	if (error)
		return error;
	fds[0] = -1;
	error = start(vm, command, fds[1], mask);
	rh_fd_close(&fds[1]);
	if (error)
		return error;
	/* The child is no part of the sandbox: it was started before. */
	error = server_start(vm->server, vm->pid);
	if (!error)
		error = server_run(vm->server, &vm->watch);
	end_child(vm);
	return error;
}

static int run_command(const struct options *options, char **command,
		       int fds[2])
{
	struct vm vm = { .watch.signal = take_signal };
	sigset_t mask;
	int error;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	error = server_create(&options->server, &vm.server);
	if (!error)
		error = serve_child(&vm, command, fds, &mask);
	server_destroy(vm.server);
	return error ? EXIT_FAILURE : exit_status(&vm);
}

int run_vm(const struct options *options)
{
	struct run_disk disk = {
		.nr_queues = options->server.export.nr_queues,
		.queue_size = options->server.export.queue_size,
	};
	char **command = NULL;
	int fds[2];
	int status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		rh_log(RH_LOG_ERROR, TAG, "cannot make a socket: %s",
		       strerror(errno));
		return EXIT_FAILURE;
	}
	disk.fd = fds[1];
	if (run_command_create(options->run_argv, &disk, &command) < 0)
		status = EXIT_USAGE;
	else
		status = run_command(options, command, fds);
	run_command_free(command, options->run_argv);
	rh_fd_close(&fds[0]);
	rh_fd_close(&fds[1]);
	return status;
}
