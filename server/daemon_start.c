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
#include "server/metrics/self.h"
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
	"  --object throttle-group,id=ID[,x-iops-total=N][,x-bps-total=SIZE]\n"
	"                                               disks that share limits\n"
	"  --object secret,id=ID,file=PATH[,format=base64]\n"
	"                                               what storage is told of us\n"
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
	"  --take-over SOCKET     take the place of the daemon with this control socket;\n"
	"                         SOCKET,required=off: if there is one\n"
	"  --pidfile PATH         where to write the process's number\n"
	"  --daemonize            go into the background once all is served\n"
	"  --aio io_uring|threads what the threads do I/O with\n"
	"  --watch-size SECONDS   how often to look for images that have another size\n"
	"                         (default: 10; 0: only after SIGUSR1)\n"
	"  --log-format text|json  of the log, on standard error\n"
	"  --allow-path PATH      an image, or a directory of images and sockets: once\n"
	"                         it serves, nothing else can be opened; may be given\n"
	"                         several times\n"
	"  --sandbox MODE         auto: give up all that this does not take, as far as\n"
	"                         this host can (default); on: or fail; off\n"
	"  --help, --version\n"
	"\n"
	"A socket that a service manager passes takes the place of a path, by its name:\n"
	"addr.type=fd,addr.str=NAME, and --chardev socket,fd=NAME. A value may also be a\n"
	"JSON object. SIGTERM ends the daemon when all requests have ended; SIGUSR1 has\n"
	"it look at the images' sizes again; SIGHUP has it read its configuration again.\n"
	"The commands of the control socket are in\n"
	"ringhost-qmp(7).\n";

/* Held as long as we are confined; not touched before we serve. */
static int open_pidfile(struct start *start)
{
	const char *path = start->pidfile;
	int error = 0;

	if (!path)
		return 0;
	start->pidfile_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (start->pidfile_fd < 0)
		error = -errno;
	if (!error)
		error = socket_file_hold(&start->pidfile_file, path);
	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot write the pidfile %s: %s",
		       path, strerror(-error));
	return error;
}

static int write_pidfile(struct start *start)
{
	char text[32];
	int nr = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (start->pidfile_fd < 0 ||
	    (ftruncate(start->pidfile_fd, 0) == 0 &&
	     write(start->pidfile_fd, text, (size_t)nr) == nr))
		return 0;
	rh_log(RH_LOG_ERROR, TAG, "cannot write the pidfile %s: %s",
	       start->pidfile, strerror(errno));
	return -EIO;
}

/* Unless it is that of somebody who has taken our place, or whose we want. */
static void remove_pidfile(struct start *start)
{
	char text[32] = "";

	if (start->pidfile_fd < 0 ||
	    pread(start->pidfile_fd, text, sizeof(text) - 1, 0) < 0 ||
	    (*text && strtol(text, NULL, 10) != (long)getpid()))
		socket_file_forget(&start->pidfile_file);
	socket_file_remove(&start->pidfile_file);
	rh_fd_close(&start->pidfile_fd);
}

static int open_null(struct start *start)
{
	start->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (start->null_fd >= 0)
		return 0;
	rh_log(RH_LOG_ERROR, TAG, "cannot open /dev/null: %s", strerror(errno));
	return -EIO;
}

/* Neither the terminal nor who waits for the end of our output. */
static int leave_terminal(struct start *start)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup3(start->null_fd, fd, 0) < 0)
			return -errno;
	}
	rh_fd_close(&start->null_fd);
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

/* What cannot be opened any more when we are confined. */
static int open_rest(struct start *start)
{
	int error = open_pidfile(start);

	if (!error && start->daemonize)
		error = open_null(start);
	if (start->nr_metrics)
		self_begin();
	return error;
}

/* Threads inherit what is given up here, so none serves before. */
static int start_threads(struct start *start, const struct taker *taker)
{
	int error = open_rest(start);

	if (!error)
		error = daemon_confine(start, taker);
	return error ? error : iothreads_start(&start->daemon.iothreads);
}

/* All is there, and the guests are ours. */
static int begin_to_serve(struct start *start, int *tell_fd)
{
	int error = write_pidfile(start);

	if (!error && *tell_fd >= 0)
		error = chdir("/") < 0 ? -errno : leave_terminal(start);
	if (error)
		return error;
	daemon_ready(&start->daemon);
	if (*tell_fd >= 0) {
		tell(*tell_fd, EXIT_SUCCESS);
		rh_fd_close(tell_fd);
	}
	return 0;
}

static void let_go(struct start *start)
{
	for (unsigned int i = 0; i < start->nr_chardevs; i++)
		json_decref(start->chardevs[i].object);
	json_decref(start->take_over_object);
	free(start->pidfile);
	for (unsigned int i = 0; i < start->nr_allowed; i++)
		rh_fd_close(&start->allowed_fds[i]);
	activation_release(&start->activation);
}

/* All that is served: first what another daemon has, then what is asked for. */
static int make_all(struct start *start, int argc, char **argv,
		    struct taker **taker)
{
	struct daemon *daemon = &start->daemon;
	int error = 0;

	daemon->activation = &start->activation;
	daemon_tell_manager(daemon);
	if (start->may_be_first && taker_has_nobody(start->take_over))
		start->take_over = NULL;
	if (start->state_dir)
		error = record_open(daemon, start->state_dir,
				    start->take_over != NULL, &daemon->record);
	if (!error && start->take_over)
		error = taker_begin(daemon, start->take_over, taker);
	if (!error)
		error = daemon_apply_config(start);
	if (!error)
		error = daemon_take_options(start, argc, argv, DAEMON_MAIN);
	if (!error && start->state_dir)
		record_restore(daemon->record);
	daemon->inherits = false;
	return error;
}

static int listen_for_commands(struct start *start, int argc, char **argv)
{
	struct daemon *daemon = &start->daemon;
	int error = 0;

	/* Who may not listen at one place may at another. */
	for (unsigned int i = 0; i < start->nr_metrics; i++) {
		int outcome = daemon_add_metrics(daemon, start->metrics[i]);

		error = error ? error : outcome;
	}
	if (!error || start->take_over)
		error = daemon_take_options(start, argc, argv, DAEMON_LAST);
	if (!error || start->take_over)
		error = daemon_open_monitors(start);
	return error;
}

/*
 * Control sockets come last. The one whose place we take listens there until
 * now, and then there are guests who count on us: what goes wrong has been
 * logged, and that is all.
 */
static int take_place(struct start *start, int argc, char **argv,
		      struct taker *taker)
{
	int error = taker_finish(taker);

	if (error)
		return error;
	record_take(start->daemon.record);
	listen_for_commands(start, argc, argv);
	taker_add_monitors(taker);
	return 0;
}

static int begin(struct start *start, int argc, char **argv, int *tell_fd)
{
	struct taker *taker = NULL;
	bool has_taken = false;
	int error = make_all(start, argc, argv, &taker);

	if (!error && !taker)
		error = listen_for_commands(start, argc, argv);
	if (!error)
		error = start_threads(start, taker);
	if (!error && taker) {
		error = take_place(start, argc, argv, taker);
		has_taken = !error;
	}
	if (!error)
		error = begin_to_serve(start, tell_fd);
	taker_free(taker);
	return has_taken ? 0 : error;
}

static int serve(struct start *start, int argc, char **argv, int *tell_fd)
{
	int error = daemon_init(&start->daemon, start);

	if (!error)
		error = begin(start, argc, argv, tell_fd);
	if (error)
		daemon_quit(&start->daemon, "host-error");
	if (daemon_run(&start->daemon) < 0)
		error = -EIO;
	daemon_deinit(&start->daemon);
	remove_pidfile(start);
	rh_fd_close(&start->null_fd);
	return error;
}

/* Returns the exit status, in the process that was started as well. */
static int run(struct start *start, int argc, char **argv)
{
	int tell_fd = -1;
	int status;

	if (daemon_take_options(start, argc, argv, DAEMON_EARLY) < 0)
		return EXIT_USAGE;
	if (activation_take(&start->activation) < 0)
		return EXIT_FAILURE;
	if (start->daemonize) {
		status = fork_away(&tell_fd);
		if (status >= 0)
			return status;
	}
	status = serve(start, argc, argv, &tell_fd) ? EXIT_FAILURE :
						      EXIT_SUCCESS;
	if (tell_fd >= 0)
		tell(tell_fd, status);
	return status;
}

int daemon_main(int argc, char **argv)
{
	struct start start = { .engine = ENGINE_URING,
			       .pidfile_fd = -1,
			       .null_fd = -1,
			       .watch_seconds = SIZE_WATCH_SECONDS };
	int status = EXIT_FAILURE;

	socket_file_init(&start.pidfile_file);
	if (daemon_take_options(&start, argc, argv, DAEMON_FIRST) < 0)
		return EXIT_USAGE;
	if (start.help || start.version) {
		if (start.help)
			fputs(help_text, stdout);
		else
			printf("ringhost %s\n", rh_version());
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (daemon_read_config(&start) == 0)
		status = run(&start, argc, argv);
	let_go(&start);
	daemon_free_config(&start);
	return status;
}
