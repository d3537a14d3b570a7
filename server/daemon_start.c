/* SPDX-License-Identifier: MIT */
/*
 * daemon_start - how the process becomes a daemon, and how it ends
 *
 * With --daemonize the process that was started waits until the other one
 * serves, so that its exit status is the truth. The other one is forked before
 * anything is made that does not survive it: threads, rings.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ringhost/version.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/daemon_internal.h"
#include "server/record.h"

#define TAG	   "ringhost"

#define EXIT_USAGE 2

static const char help_text[] =
	"ringhost daemon serves any number of disks, and changes them while it runs.\n"
	"\n"
	"  ringhost daemon [OPTIONS]\n"
	"\n"
	"Options are those of qemu-storage-daemon, carried out in their order:\n"
	"\n"
	"  --object iothread,id=ID[,poll-max-ns=N]      a thread that does I/O\n"
	"  --blockdev driver=file,node-name=NAME,filename=IMAGE[,cache.direct=on]\n"
	"             [,read-only=on][,locking=off]     an image\n"
	"  --blockdev driver=null-co,node-name=NAME[,size=SIZE]\n"
	"                                               a disk that forgets\n"
	"  --export type=vhost-user-blk,id=ID,node-name=NAME,addr.type=unix,\n"
	"           addr.path=SOCKET[,writable=on][,num-queues=N][,iothread=ID]\n"
	"           [,logical-block-size=N]             a disk for a VM\n"
	"  --chardev socket,id=ID,path=SOCKET,server=on,wait=off\n"
	"  --monitor chardev=ID[,pretty=on]             a control socket (QMP)\n"
	"  --metrics unix:SOCKET|127.0.0.1:PORT|[::1]:PORT\n"
	"                                               for Prometheus, at /metrics\n"
	"  --config FILE|DIR      disks and settings of configuration files, see\n"
	"                         ringhost.conf(5)\n"
	"  --state-dir DIR        what clients add is there again after a restart\n"
	"  --take-over SOCKET     take the place of the daemon with this control socket\n"
	"  --pidfile PATH         where to write the process's number\n"
	"  --daemonize            go into the background once all is served\n"
	"  --aio io_uring|threads what the threads do I/O with\n"
	"  --watch-size SECONDS   how often to look for images that have another size\n"
	"                         (default: 10; 0: only after SIGUSR1)\n"
	"  --log-format text|json  of the log, on standard error\n"
	"  --help, --version\n"
	"\n"
	"A value may also be a JSON object. SIGTERM ends the daemon when all requests\n"
	"have ended; SIGUSR1 has it look at the images' sizes again; SIGHUP has it read\n"
	"its configuration again. The commands of the control socket are in\n"
	"ringhost-qmp(7).\n";

/* Its absolute path is kept, for the end. */
static int write_pidfile(struct start *start)
{
	const char *path = start->pidfile;
	char text[32];
	int nr = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0 && write(fd, text, (size_t)nr) == nr) {
		start->made_pidfile = realpath(path, NULL);
		return 0;
	}
	rh_log(RH_LOG_ERROR, TAG, "cannot write the pidfile %s: %s", path,
	       strerror(errno));
	return -EIO;
}

/* Unless somebody who has taken our place has written it anew. */
static void remove_pidfile(struct start *start)
{
	cleanup_close int fd = -1;
	char text[32] = "";

	if (start->made_pidfile)
		fd = open(start->made_pidfile, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	    strtol(text, NULL, 10) == (long)getpid())
		unlink(start->made_pidfile);
	free(start->made_pidfile);
}

/* Neither the terminal nor who waits for the end of our output. */
static int leave_terminal(void)
{
	cleanup_close int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 ||
	    dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -errno;
	return 0;
}

/* In the one that was started. Returns its exit status. */
static int wait_for_child(int fd)
{
	char status = EXIT_FAILURE;

	while (read(fd, &status, 1) < 0 && errno == EINTR)
		;
	return status;
}

/*
 * Returns -1 in the process that goes on, with *tell_fd to be told a status,
 * else the exit status.
 */
static int fork_away(int *tell_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		rh_log(RH_LOG_ERROR, TAG, "cannot make a pipe: %s",
		       strerror(errno));
		return EXIT_FAILURE;
	}
	pid = fork();
	if (pid < 0) {
		rh_log(RH_LOG_ERROR, TAG, "cannot fork: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (pid > 0) {
		close(fds[1]);
		return wait_for_child(fds[0]);
	}
	close(fds[0]);
	setsid();
	*tell_fd = fds[1];
	return -1;
}

static void tell(int fd, int status)
{
	const char byte = (char)status;

	if (write(fd, &byte, 1) != 1)
		rh_log(RH_LOG_WARNING, TAG, "nobody waits for the start");
}

/* All that the command line asks for is there. */
static int begin_to_serve(struct start *start, int *tell_fd)
{
	int error = start->pidfile ? write_pidfile(start) : 0;

	if (error || *tell_fd < 0)
		return error;
	if (chdir("/") < 0)
		return -errno;
	error = leave_terminal();
	if (!error) {
		tell(*tell_fd, EXIT_SUCCESS);
		rh_fd_close(tell_fd);
	}
	return error;
}

static void free_chardevs(struct start *start)
{
	for (unsigned int i = 0; i < start->nr_chardevs; i++)
		json_decref(start->chardevs[i].object);
}

/* All that is served: first what another daemon has, then what is asked for. */
static int make_all(struct start *start, int argc, char **argv,
		    struct taker **taker)
{
	struct daemon *daemon = &start->daemon;
	int error = 0;

	if (start->state_dir)
		error = record_open(daemon, start->state_dir, &daemon->record);
	if (!error && start->take_over)
		error = taker_begin(daemon, start->take_over, taker);
	if (!error)
		error = daemon_apply_config(start);
	if (!error)
		error = daemon_take_options(start, argc, argv, DAEMON_MAIN);
	if (!error && start->state_dir)
		record_restore(daemon->record);
	if (!error && *taker)
		error = taker_finish(*taker);
	daemon->inherits = false;
	return error;
}

/*
 * Control sockets come last. The one whose place we have taken has listened
 * there until now, and there are guests who count on us: then what goes wrong
 * has been logged, and that is all.
 */
static int listen_for_commands(struct start *start, int argc, char **argv,
			       struct taker *taker)
{
	int error = daemon_take_options(start, argc, argv, DAEMON_LAST);

	if (!error || taker)
		error = daemon_open_monitors(start);
	if (!taker)
		return error;
	taker_add_monitors(taker);
	return 0;
}

static int serve(struct start *start, int argc, char **argv, int *tell_fd)
{
	struct taker *taker = NULL;
	int error = daemon_init(&start->daemon, start);
	bool has_taken = false;

	if (!error)
		error = make_all(start, argc, argv, &taker);
	has_taken = !error && taker;
	if (!error)
		error = listen_for_commands(start, argc, argv, taker);
	if (!error)
		error = begin_to_serve(start, tell_fd);
	if (error && has_taken)
		error = 0; /* it has been said, and guests count on us */
	if (error)
		daemon_quit(&start->daemon, "host-error");
	if (daemon_run(&start->daemon) < 0)
		error = -EIO;
	taker_free(taker);
	daemon_deinit(&start->daemon);
	remove_pidfile(start);
	return error;
}

int daemon_main(int argc, char **argv)
{
	struct start start = { .engine = ENGINE_URING,
			       .watch_seconds = SIZE_WATCH_SECONDS };
	int tell_fd = -1;
	int status;

	if (daemon_take_options(&start, argc, argv, DAEMON_FIRST) < 0)
		return EXIT_USAGE;
	if (start.help || start.version) {
		if (start.help)
			fputs(help_text, stdout);
		else
			printf("ringhost %s\n", rh_version());
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (daemon_read_config(&start) < 0)
		return EXIT_FAILURE;
	if (daemon_take_options(&start, argc, argv, DAEMON_EARLY) < 0)
		return EXIT_USAGE;
	if (start.daemonize) {
		status = fork_away(&tell_fd);
		if (status >= 0)
			return status;
	}
	status = serve(&start, argc, argv, &tell_fd) ? EXIT_FAILURE :
						       EXIT_SUCCESS;
	if (tell_fd >= 0)
		tell(tell_fd, status);
	free_chardevs(&start);
	daemon_free_config(&start);
	return status;
}
