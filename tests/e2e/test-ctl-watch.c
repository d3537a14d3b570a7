/* SPDX-License-Identifier: MIT */
/*
 * ctl-watch - what disks do is watched from a shell, while they do it
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>

#include "tests/e2e/ctl.h"
#include "tests/e2e/load.h"
#include "tests/frontend/clock.h"

#define SECOND_SCREEN "\033[?1049h\033[?25l"
#define FIRST_SCREEN  "\033[?25h\033[?1049l"

static json_t *disk_of(json_t *list, const char *id)
{
	json_t *disk;
	size_t i;

	json_array_foreach(list, i, disk)
	{
		if (!strcmp(json_string_value(json_object_get(disk, "id")), id))
			return disk;
	}
	fail_msg("%s is not in:\n%s", id, output);
	return NULL;
}

static double number_of(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_number(value))
		fail_msg("there is no number %s in:\n%s", name, output);
	return json_number_value(value);
}

static json_int_t sum_of_buckets(json_t *queue, const char *kind)
{
	json_t *latency =
		json_object_get(json_object_get(queue, "latency"), kind);
	json_int_t last_nsec = -1;
	json_int_t nr = 0;
	json_t *pair;
	size_t i;

	json_array_foreach(json_object_get(latency, "buckets"), i, pair)
	{
		json_int_t nsec = json_integer_value(json_array_get(pair, 0));

		assert_true(nsec > last_nsec);
		last_nsec = nsec;
		nr += json_integer_value(json_array_get(pair, 1));
	}
	assert_true(last_nsec >= (json_int_t)number_of(latency, "p999-ns"));
	return nr;
}

static void what_was_done_is_counted(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };
	json_t *list;
	json_t *queue;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);
	expect(ctl(&daemon, "stats --json e0"), 0);
	list = ctl_output();
	assert_int_equal(json_array_size(list), 1);
	queue = json_array_get(json_object_get(disk_of(list, "e0"), "queues"),
			       0);
	assert_int_equal(number_of(queue, "reads") + number_of(queue, "writes"),
			 100);
	assert_int_equal(sum_of_buckets(queue, "read"),
			 number_of(queue, "reads"));
	assert_int_equal(sum_of_buckets(queue, "write"),
			 number_of(queue, "writes"));
	json_decref(list);
	expect(ctl(&daemon,
		   "raw '{\"execute\": \"x-query-stats\"}' | grep buckets"),
	       1);
	expect(ctl(&daemon, "stats"), 0);
	has("DISK  QUEUE  READS  WRITES ");
	has("\ne0      all ");
	has("\ne1      all      0       0 ");
	expect(ctl(&daemon, "stats --queues e1"), 0);
	has("\ne1      all      0 ");
	expect(ctl(&daemon, "stats --queues e1 | grep '^e1 *[0-9] '"), 1);
	expect(ctl(&daemon, "stats --queues e0"), 0);
	has("\ne0        0 ");
	expect(ctl(&daemon, "stats none 2>&1"), 1);
	has("'none' is not found");
	daemon_stop(&daemon);
}

/*
 * An interval in which e0 worked. A load that is there all the time may stand
 * still for longer than one on a machine that has other things to do.
 */
static json_t *busy_interval(struct daemon *daemon)
{
	for (int i = 0; i < FE_PATIENCE_MSEC / 300; i++) {
		json_t *line;
		json_t *e0;

		expect(ctl(daemon, "top -b -n 2 -d 0.3 --json --queues | "
				   "tail -n 1"),
		       0);
		line = ctl_output();
		e0 = disk_of(json_object_get(line, "disks"), "e0");
		if (number_of(e0, "read-iops") > 0 &&
		    number_of(e0, "write-iops") > 0)
			return line;
		json_decref(line);
	}
	fail_msg("e0 is never seen to work:\n%s", output);
	return NULL;
}

/*
 * Requests and their bytes are two numbers: at both ends of the interval either
 * may have been told without what a queue has just added to the other.
 */
static void bytes_fit_requests(json_t *disk, double interval_sec)
{
	double bytes = interval_sec * number_of(disk, "read-bps");
	double nr = interval_sec * number_of(disk, "read-iops");
	double nr_in_between = 2 * 2 * LOAD_DEPTH; /* ends, queues */

	assert_true(bytes >= 4096 * (nr - nr_in_between));
	assert_true(bytes <= 4096 * (nr + nr_in_between));
}

static void top_tells_what_happens_in_between(void **state)
{
	struct daemon daemon;
	struct load load;
	json_t *line;
	json_t *busy;
	json_t *latency;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
	load_goes_on(&load);
	line = busy_interval(&daemon);
	assert_true(number_of(line, "interval-ns") >= 3e8);
	busy = disk_of(json_object_get(line, "disks"), "e0");
	bytes_fit_requests(busy, number_of(line, "interval-ns") / 1e9);
	latency = json_object_get(busy, "latency");
	assert_true(number_of(latency, "p50-ns") > 0);
	assert_true(number_of(latency, "p50-ns") <=
		    number_of(latency, "p99-ns"));
	assert_true(number_of(latency, "p99-ns") <=
		    number_of(latency, "p999-ns"));
	assert_int_equal(json_array_size(json_object_get(busy, "queues")), 4);
	assert_true(number_of(disk_of(json_object_get(line, "disks"), "e1"),
			      "read-iops") == 0);
	json_decref(line);
	expect(ctl(&daemon, "top -n 1 -d 0.1 --json"), 0);
	line = ctl_output();
	assert_null(json_object_get(
		disk_of(json_object_get(line, "disks"), "e0"), "queues"));
	json_decref(line);
	expect(ctl(&daemon, "top -n 1 -d 0.1"), 0);
	has("DISK  READ/s  WRITE/s ");
	has("\ne1         0        0 ");
	expect(ctl(&daemon, "top -n 1 -d 0.1 --queues"), 0);
	has("DISK  QUEUE  I/O THREAD  READ/s ");
	has("\ne0      all ");
	has("\ne0        1  t0 ");
	load_end(&load);
	daemon_stop(&daemon);
}

static void events_are_lines_until_the_daemon_ends(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	expect(run("cd %s; %s ctl --socket=control --json events >events & "
		   "for i in $(seq 600); do "
		   "%s ctl --socket=control add new --image=b.img "
		   "--socket=n.sock && %s ctl --socket=control remove new; "
		   "[ -s events ] && break; sleep 0.1; done; "
		   "%s ctl --socket=control events >text & sleep 0.1; "
		   "%s ctl --socket=control raw '{\"execute\": \"quit\"}'; "
		   "wait; grep -m 1 BLOCK events; grep -q SHUTDOWN events",
		   daemon.server.dir, program(), program(), program(),
		   program(), program()),
	       0);
	has("{\"event\":\"BLOCK_EXPORT_DELETED\",");
	assert_int_equal(server_wait(&daemon.server, SERVER_STOP_MSEC), 0);
	qmp_close(&daemon.qmp);
	server_clean_up(&daemon.server);
}

/* A terminal in which `ringhost ctl top` runs. */
struct terminal {
	int fd;
	pid_t pid;
	struct termios before;
	char shown[1u << 16]; /* all of it so far */
	size_t nr_shown;
};

static void terminal_begin(struct terminal *terminal, struct daemon *daemon)
{
	const struct winsize size = { .ws_row = 10, .ws_col = 200 };
	char option[160];
	int replica;

	*terminal = (struct terminal){ .pid = -1 };
	assert_int_equal(openpty(&terminal->fd, &replica, NULL, NULL, &size),
			 0);
	assert_int_equal(tcgetattr(replica, &terminal->before), 0);
	snprintf(option, sizeof(option), "--socket=%s", daemon->server.socket);
	terminal->pid = fork();
	assert_true(terminal->pid >= 0);
	if (terminal->pid == 0) {
		login_tty(replica);
		execl(program(), "ringhost", "ctl", option, "top", "-d", "0.1",
		      NULL);
		_exit(127);
	}
	close(replica);
}

/* Until part is there, in what came after the last call. */
static void terminal_shows(struct terminal *terminal, const char *part)
{
	struct pollfd ready = { .fd = terminal->fd, .events = POLLIN };
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	char *found;
	ssize_t nr;

	while (!(found = memmem(terminal->shown, terminal->nr_shown, part,
				strlen(part)))) {
		assert_int_equal(poll(&ready, 1, FE_PATIENCE_MSEC), 1);
		if (fe_now_usec() > deadline)
			fail_msg("'%s' does not come", part);
		if (terminal->nr_shown > sizeof(terminal->shown) / 2)
			terminal->nr_shown = 0;
		nr = read(terminal->fd, terminal->shown + terminal->nr_shown,
			  sizeof(terminal->shown) / 2);
		assert_true(nr > 0);
		terminal->nr_shown += (size_t)nr;
	}
	terminal->nr_shown -= (size_t)(found - terminal->shown) + strlen(part);
	memmove(terminal->shown, found + strlen(part), terminal->nr_shown);
}

/* It is as it was; returns how the process has ended. */
static int terminal_end(struct terminal *terminal)
{
	struct termios after;
	int status;

	terminal_shows(terminal, FIRST_SCREEN);
	assert_int_equal(waitpid(terminal->pid, &status, 0), terminal->pid);
	assert_int_equal(tcgetattr(terminal->fd, &after), 0);
	assert_int_equal(after.c_lflag, terminal->before.c_lflag);
	close(terminal->fd);
	return status;
}

static void top_draws_until_a_key_ends_it(void **state)
{
	const struct winsize narrow = { .ws_row = 10, .ws_col = 12 };
	struct terminal terminal;
	struct termios during;
	struct daemon daemon;
	int status;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	terminal_begin(&terminal, &daemon);
	terminal_shows(&terminal, SECOND_SCREEN);
	terminal_shows(&terminal, "\ne0         0        0 ");
	assert_int_equal(tcgetattr(terminal.fd, &during), 0);
	assert_int_equal(during.c_lflag & (ECHO | ICANON), 0);
	assert_int_equal(write(terminal.fd, "e", 1), 1);
	terminal_shows(&terminal, "\ne0      all ");
	assert_int_equal(ioctl(terminal.fd, TIOCSWINSZ, &narrow), 0);
	terminal_shows(&terminal, "DISK  QUEUE \033[K");
	assert_int_equal(write(terminal.fd, "q", 1), 1);
	status = terminal_end(&terminal);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	daemon_stop(&daemon);
}

static void whatever_signal_ends_top_the_terminal_is_given_back(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGSEGV };
	struct terminal terminal;
	struct daemon daemon;
	int status;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++) {
		terminal_begin(&terminal, &daemon);
		terminal_shows(&terminal, "DISK");
		kill(terminal.pid, signals[i]);
		status = terminal_end(&terminal);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
	daemon_stop(&daemon);
}

static void while_top_is_stopped_the_terminal_is_the_shell_s(void **state)
{
	struct terminal terminal;
	struct termios meanwhile;
	struct daemon daemon;
	int status;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	terminal_begin(&terminal, &daemon);
	terminal_shows(&terminal, "DISK");
	kill(terminal.pid, SIGTSTP);
	assert_int_equal(waitpid(terminal.pid, &status, WUNTRACED),
			 terminal.pid);
	assert_true(WIFSTOPPED(status));
	terminal_shows(&terminal, FIRST_SCREEN);
	assert_int_equal(tcgetattr(terminal.fd, &meanwhile), 0);
	assert_int_equal(meanwhile.c_lflag, terminal.before.c_lflag);
	kill(terminal.pid, SIGCONT);
	terminal_shows(&terminal, SECOND_SCREEN);
	terminal_shows(&terminal, "DISK");
	kill(terminal.pid, SIGTERM);
	status = terminal_end(&terminal);
	assert_true(WIFSIGNALED(status));
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_is_counted),
		cmocka_unit_test(top_tells_what_happens_in_between),
		cmocka_unit_test(events_are_lines_until_the_daemon_ends),
		cmocka_unit_test(top_draws_until_a_key_ends_it),
		cmocka_unit_test(
			whatever_signal_ends_top_the_terminal_is_given_back),
		cmocka_unit_test(
			while_top_is_stopped_the_terminal_is_the_shell_s),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("ctl-watch", tests, NULL, NULL);
}
