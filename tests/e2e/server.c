/* SPDX-License-Identifier: MIT */
/*
 * server - a server process under test: started, watched, stopped
 *
 * What the process is like from outside comes from /proc; whether it listens
 * too, so that no connection is made which would itself be a session.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/server.h"
#include "tests/frontend/clock.h"

#define POLL_USEC      5000
#define INHERITED_FD   30 /* the number that --fd= names */
#define EXIT_NO_OPTION 126
#define MAX_LOOKS      5

bool server_is_missing(void)
{
	if (getenv("SERVER"))
		return false;
	printf("1..0 # SKIP SERVER does not name a program to test\n");
	return true;
}

bool server_is_ringhost(void)
{
	const char *program = getenv("SERVER");
	const char *name;

	if (!program)
		return false;
	name = strrchr(program, '/');
	return !strcmp(name ? name + 1 : program, "ringhost");
}

static int make_image(const char *path, uint64_t bytes)
{
	cleanup_close int fd =
		open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	return 0;
}

static int make_directory(struct server *server,
			  const struct server_options *options)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(server->dir, sizeof(server->dir), "%s/ringhost-XXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(server->dir))
		return -errno;
	snprintf(server->image, sizeof(server->image), "%s/image", server->dir);
	snprintf(server->log, sizeof(server->log), "%s/log", server->dir);
	if (options->socket)
		snprintf(server->socket, sizeof(server->socket), "%s",
			 options->socket);
	else
		snprintf(server->socket, sizeof(server->socket), "%s/socket",
			 server->dir);
	if (options->no_image)
		return 0;
	if (options->image)
		return link(options->image, server->image) < 0 ? -errno : 0;
	return make_image(server->image, options->image_bytes ?
						 options->image_bytes :
						 SERVER_IMAGE_BYTES);
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(sock, 8) < 0)
		return -errno;
	return steal_fd(&sock);
}

/* The socket that the server inherits, or -1 for none, or -errno. */
static int make_inherited(struct server *server,
			  const struct server_options *options)
{
	int ends[2];

	if (options->pass_listening)
		return listen_at(server->socket);
	if (!options->pass_connected)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	server->connected_fd = ends[0];
	return ends[1];
}

static const struct server_options usual;

struct arguments {
	unsigned int nr;
	const char *argv[3 * SERVER_MAX_OPTIONS];
};

static void add_argument(struct arguments *arguments, const char *argument)
{
	if (arguments->nr + 1 < ARRAY_SIZE(arguments->argv))
		arguments->argv[arguments->nr++] = argument;
}

/* In the child; does not return. */
static void exec_program(const struct server *server,
			 const struct server_options *options, int inherited)
{
	const char *more = getenv("SERVER_OPTIONS");
	char *words = strdup(more ? more : "");
	struct arguments arguments = { 0 };
	char socket[160];
	int log_fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_fd = open(server->log, O_CREAT | O_WRONLY | O_APPEND, 0600);
	dup2(log_fd, STDERR_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	close(log_fd);
	if (inherited >= 0)
		dup2(inherited, INHERITED_FD);
	for (unsigned int i = 0; i < options->nr_inherited_fds; i++)
		if (fcntl(STDIN_FILENO, F_DUPFD, INHERITED_FD + 1) < 0)
			_exit(EXIT_NO_OPTION);
	add_argument(&arguments, getenv("SERVER"));
	if (inherited >= 0)
		snprintf(socket, sizeof(socket), "--fd=%d", INHERITED_FD);
	else
		snprintf(socket, sizeof(socket), "--socket-path=%s",
			 server->socket);
	if (!options->passed)
		add_argument(&arguments, socket);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		add_argument(&arguments, word);
	for (const char *const *option = options->options; *option; option++)
		add_argument(&arguments, *option);
	if (!options->no_image)
		add_argument(&arguments, server->image);
	if (options->prepare)
		options->prepare(server);
	execv(arguments.argv[0], (char *const *)arguments.argv);
	_exit(127);
}

bool server_listens(const char *path)
{
	char line[512];
	unsigned int flags;
	int offset;
	bool found = false;
	FILE *file = fopen("/proc/net/unix", "re");

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		offset = 0;
		line[strcspn(line, "\n")] = '\0';
		sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &offset);
		found = offset && (flags & 0x10000) &&
			!strcmp(line + offset, path);
	}
	fclose(file);
	return found;
}

static int wait_until_it_listens(struct server *server)
{
	uint64_t deadline = fe_deadline(SERVER_START_MSEC);

	while (!server_listens(server->socket)) {
		if (!server_runs(server))
			return -ECHILD;
		if (fe_now_usec() > deadline)
			return -ETIMEDOUT;
		usleep(POLL_USEC);
	}
	return 0;
}

static int run_program(struct server *server,
		       const struct server_options *options, int inherited)
{
	server->pid = fork();
	if (server->pid < 0)
		return -errno;
	if (server->pid == 0)
		exec_program(server, options, inherited);
	return inherited >= 0 || options->passed ?
		       0 :
		       wait_until_it_listens(server);
}

int server_start(struct server *server, const struct server_options *options)
{
	cleanup_close int inherited = -1;
	int error;

	if (!options)
		options = &usual;
	*server = (struct server){ .pid = -1, .connected_fd = -1 };
	error = make_directory(server, options);
	if (error)
		return error;
	inherited = make_inherited(server, options);
	if (inherited < -1)
		return inherited;
	return run_program(server, options, inherited);
}

int server_start_again(struct server *server,
		       const struct server_options *options)
{
	return run_program(server, options ? options : &usual, -1);
}

int server_kill_and_restart(struct server *server,
			    const struct server_options *options)
{
	int status;

	kill(server->pid, SIGKILL);
	status = server_wait(server, SERVER_STOP_MSEC);
	if (status != 128 + SIGKILL)
		return status < 0 ? status : -ECHILD;
	return server_start_again(server, options);
}

static int exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool server_runs(struct server *server)
{
	siginfo_t info = { 0 };

	if (server->pid <= 0)
		return false;
	/* it stays a zombie, for server_wait() */
	if (waitid(P_PID, (id_t)server->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) < 0)
		return false;
	return info.si_pid == 0;
}

int server_wait(struct server *server, int timeout_msec)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	int status;

	if (server->pid <= 0)
		return -ECHILD;
	while (waitpid(server->pid, &status, WNOHANG) == 0) {
		if (fe_now_usec() > deadline)
			return -ETIMEDOUT;
		usleep(POLL_USEC);
	}
	server->pid = -1;
	return exit_code(status);
}

static void print_log(const struct server *server)
{
	FILE *file = fopen(server->log, "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "server: %s", line);
	if (file)
		fclose(file);
}

int server_end(struct server *server)
{
	int ret = -ECHILD;

	if (server->pid > 0) {
		kill(server->pid, SIGTERM);
		ret = server_wait(server, SERVER_STOP_MSEC);
	}
	if (ret == -ETIMEDOUT) {
		kill(server->pid, SIGKILL);
		server_wait(server, SERVER_STOP_MSEC);
	}
	if (ret)
		print_log(server);
	return ret;
}

int server_stop(struct server *server)
{
	int ret = server_end(server);

	server_clean_up(server);
	return ret;
}

void server_clean_up(struct server *server)
{
	rh_fd_close(&server->connected_fd);
	unlink(server->image);
	unlink(server->log);
	unlink(server->socket);
	rmdir(server->dir);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int nr = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2; /* without . and .. */
}

int server_nr_fds(const struct server *server)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", server->pid);
	return count_entries(path);
}

int server_nr_maps(const struct server *server)
{
	char path[64];
	int nr = 0;
	int c;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", server->pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while ((c = fgetc(file)) != EOF)
		nr += c == '\n';
	fclose(file);
	return nr;
}

/* One field, by its number from 1 on, of a file of words in /proc. */
static int64_t proc_field(const struct server *server, const char *name,
			  int field)
{
	char path[64];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", server->pid, name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (--field)
		if (fscanf(file, "%*s") == EOF)
			break;
	if (fscanf(file, "%lld", &value) != 1)
		value = -EIO;
	fclose(file);
	return value;
}

int64_t server_rss_bytes(const struct server *server)
{
	int64_t pages = proc_field(server, "statm", 2);

	return pages < 0 ? pages : pages * sysconf(_SC_PAGESIZE);
}

int64_t server_cpu_msec(const struct server *server)
{
	int64_t user = proc_field(server, "stat", 14);
	int64_t system = proc_field(server, "stat", 15);

	if (user < 0 || system < 0)
		return -EIO;
	return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

bool server_is_idle(const struct server *server, unsigned int msec,
		    int64_t most_cpu_msec)
{
	int64_t used = most_cpu_msec + 1;
	int64_t before;

	for (int i = 0; i < MAX_LOOKS && used > most_cpu_msec; i++) {
		before = server_cpu_msec(server);
		usleep(msec * 1000);
		used = server_cpu_msec(server) - before;
	}
	return used >= 0 && used <= most_cpu_msec;
}

unsigned int server_log_count(const struct server *server, const char *text)
{
	FILE *file = fopen(server->log, "re");
	char line[1024];
	unsigned int nr = 0;

	while (file && fgets(line, sizeof(line), file))
		nr += strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return nr;
}

int server_set_up(void **state)
{
	static struct server server;
	int error = server_start(&server, NULL);

	if (error)
		fprintf(stderr, "server: %s\n", strerror(-error));
	*state = &server;
	return error;
}

int server_tear_down(void **state)
{
	return server_stop(*state);
}
