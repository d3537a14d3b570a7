/* SPDX-License-Identifier: MIT */
/*
 * runner - runs cases, one process each, and asks the back-end how it is
 *
 * The verdict lies in a page that parent and child share. The child's end is
 * awaited through a pidfd, so that its time is bounded whatever it does.
 */
#include "check/runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/groups.h"
#include "check/names.h"
#include "check/select.h"
#include "common/base.h"
#include "common/log.h"
#include "tests/frontend/clock.h"

#define TAG		   "ringhost"
#define CASE_MSEC	   60000 /* and eight time-outs */
#define RESTART_MSEC	   20000
#define RESTART_RETRY_USEC 100000
#define MAX_TEXT	   800

struct runner {
	const struct check_options *options;
	struct target *target;
	struct check_verdict *verdict; /* shared with the child */
	runner_report_fn report;
	void *opaque;
	struct check_results *results;
	bool over; /* the back-end is gone for good, or somebody stopped us */
};

static volatile sig_atomic_t interrupted;

static void note_interruption(int number)
{
	(void)number;
	interrupted = 1;
}

/* The scratch range must be put back, so a signal only ends the run early. */
static void catch_signals(void (*handler)(int))
{
	const struct sigaction action = { .sa_handler = handler };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* In the child; does not return. */
_Noreturn static void run_here(struct runner *runner,
			       const struct check_case *test)
{
	static struct check check;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	catch_signals(SIG_DFL);
	check = (struct check){ .target = runner->target,
				.verdict = runner->verdict };
	test->run(&check);
	runner->verdict->outcome = CHECK_PASSED;
	_exit(0);
}

static void explain_end(struct check_verdict *verdict, int status, bool killed)
{
	if (verdict->outcome != CHECK_NOT_RUN || interrupted)
		return;
	verdict->outcome = CHECK_FAILED;
	if (killed)
		snprintf(verdict->text, sizeof(verdict->text),
			 "the case did not come to its end in time");
	else
		snprintf(verdict->text, sizeof(verdict->text),
			 "the test itself ended with wait status 0x%x: please "
			 "report that as a fault of ringhost",
			 status);
}

static int wait_for_child(pid_t pid, int timeout_msec, int *status)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };
	bool killed = false;
	int nr;

	do {
		nr = poll(&pollfd, 1, fe_remaining_msec(deadline));
	} while (nr < 0 && errno == EINTR);
	if (nr == 0) {
		kill(pid, SIGKILL);
		killed = true;
	}
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return killed ? -ETIMEDOUT : 0;
}

static int run_child(struct runner *runner, const struct check_case *test)
{
	int limit = CASE_MSEC + 8 * runner->target->timeout_msec;
	int status = 0;
	int error;
	pid_t pid;

	memset(runner->verdict, 0, sizeof(*runner->verdict));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_here(runner, test);
	error = wait_for_child(pid, limit, &status);
	explain_end(runner->verdict, status, error < 0);
	return 0;
}

/* Why the case is not for this back-end, into text; false if it is. */
static bool is_skipped(const struct runner *runner,
		       const struct check_case *test, char *text, size_t size)
{
	const struct target *target = runner->target;
	uint64_t features = test->features & ~target->features;
	uint64_t protocol = test->protocol & ~target->protocol;
	unsigned int flags = test->flags;

	if (features)
		snprintf(text, size, "it does not offer %s",
			 names_feature(features));
	else if (protocol)
		snprintf(text, size,
			 "it does not offer the protocol feature %s",
			 names_protocol(protocol));
	else if (flags & CHECK_QUEUES_2 && target->nr_queues < 2)
		snprintf(text, size, "it has one queue only");
	else if (flags & CHECK_READ_ONLY && !target->read_only)
		snprintf(text, size, "its disk is not read-only");
	else if (flags & CHECK_WRITES && target->read_only)
		snprintf(text, size, "its disk is read-only");
	else if (flags & CHECK_WRITES && runner->options->no_write)
		snprintf(text, size, "--no-write was given");
	else if (flags & CHECK_PID && !target->pid)
		snprintf(text, size,
			 "its process is not known, or cannot be "
			 "looked at: give --pid=PID");
	else if (flags & CHECK_HOSTILE && !runner->options->hostile)
		snprintf(text, size, "it is for --hostile");
	else
		return false;
	return true;
}

/* Have the shell run the command, its output on our standard error. */
static int run_command(const char *command)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return wait_for_child(pid, RESTART_MSEC, &status);
}

static int restart(struct runner *runner)
{
	uint64_t deadline;
	const char *why;
	int error = run_command(runner->options->restart_command);

	deadline = fe_deadline(RESTART_MSEC);
	while (!error && (error = target_serves(runner->target, &why)) < 0 &&
	       fe_now_usec() < deadline) {
		usleep(RESTART_RETRY_USEC);
		error = 0;
	}
	if (error)
		return error;
	runner->target->pid = target_find_pid(runner->target);
	return 0;
}

/* Put the old contents back, as far as there is somebody to do it. */
static void restore(struct runner *runner, const struct check_case *test)
{
	struct target *target = runner->target;

	if (target->read_only || runner->options->no_write ||
	    !(test->flags & (CHECK_WRITES | CHECK_HOSTILE)))
		return;
	if (target_is_restored(target))
		runner->results->scratch_lost = false;
	else
		runner->results->scratch_lost = target_restore(target) < 0;
}

static void add_text(char *text, size_t size, const char *before,
		     const char *more)
{
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s%s", length ? before : "",
		 more);
}

/* Is it still there? If not, the case has failed. */
static void examine(struct runner *runner, struct check_result *result,
		    char *text, size_t size)
{
	const char *why;

	if (target_serves(runner->target, &why) == 0) {
		restore(runner, result->test);
		return;
	}
	result->outcome = CHECK_FAILED;
	result->lost = true;
	if (runner->verdict->at_connect)
		text[0] = '\0'; /* that is what is told now */
	add_text(text, size, "; and afterwards ", why);
	if (runner->verdict->last[0])
		add_text(text, size, "; it had been sent ",
			 runner->verdict->last);
	runner->results->scratch_lost =
		!runner->target->read_only && !runner->options->no_write;
	if (runner->options->restart_command && restart(runner) == 0)
		restore(runner, result->test);
	else
		runner->over = true;
}

static int run_one(struct runner *runner, struct check_result *result)
{
	uint64_t begin = fe_now_usec();
	char text[MAX_TEXT] = "";
	int error = 0;

	if (runner->over || interrupted) {
		result->outcome = CHECK_NOT_RUN;
	} else if (is_skipped(runner, result->test, text, sizeof(text))) {
		result->outcome = CHECK_SKIPPED;
	} else {
		error = run_child(runner, result->test);
		result->outcome = runner->verdict->outcome;
		snprintf(text, sizeof(text), "%s", runner->verdict->text);
		examine(runner, result, text, sizeof(text));
	}
	result->seconds = (double)(fe_now_usec() - begin) / 1e6;
	result->text = text[0] ? strdup(text) : NULL;
	return error;
}

static int choose(const struct check_options *options,
		  struct check_results *results)
{
	size_t nr = 0;

	for (size_t i = 0; i < check_nr_groups; i++)
		nr += check_groups[i]->nr_cases;
	results->array = calloc(nr, sizeof(*results->array));
	if (!results->array)
		return -ENOMEM;
	for (size_t i = 0; i < check_nr_groups; i++) {
		const struct check_group *group = check_groups[i];

		for (size_t k = 0; k < group->nr_cases; k++) {
			if (!select_fits(options->only, group,
					 &group->cases[k]))
				continue;
			results->array[results->nr].group = group;
			results->array[results->nr++].test = &group->cases[k];
		}
	}
	return 0;
}

static int run_all(struct runner *runner)
{
	struct check_results *results = runner->results;
	int error = 0;

	runner->verdict =
		mmap(NULL, sizeof(*runner->verdict), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (runner->verdict == MAP_FAILED)
		return -errno;
	catch_signals(note_interruption);
	for (size_t i = 0; i < results->nr && !error; i++) {
		error = run_one(runner, &results->array[i]);
		results->nr_of[results->array[i].outcome]++;
		runner->report(&results->array[i], runner->opaque);
	}
	catch_signals(SIG_DFL);
	munmap(runner->verdict, sizeof(*runner->verdict));
	return error;
}

int runner_run(const struct check_options *options, struct target *target,
	       runner_report_fn report, void *opaque, struct check_results *ret)
{
	struct runner runner = {
		.options = options,
		.target = target,
		.report = report,
		.opaque = opaque,
		.results = ret,
	};
	int error;

	memset(ret, 0, sizeof(*ret));
	error = choose(options, ret);
	if (!error && !ret->nr) {
		rh_log(RH_LOG_ERROR, TAG,
		       "no case fits --only=%s: ringhost check --list shows "
		       "their names",
		       options->only);
		error = -ENOENT;
	}
	return error ? error : run_all(&runner);
}

void runner_free(struct check_results *results)
{
	for (size_t i = 0; i < results->nr; i++)
		free(results->array[i].text);
	free(results->array);
	results->array = NULL;
	results->nr = 0;
}
