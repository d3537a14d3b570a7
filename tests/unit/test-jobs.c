/* SPDX-License-Identifier: MIT */
/* jobs - work beside the control thread, which is told when it is done */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/jobs.h"

struct fixture {
	struct loop loop;
	struct jobs jobs;
	struct job job;
	pid_t worked_in; /* the thread; 0: none yet */
	unsigned int nr_done;
};

static void work(struct job *job)
{
	container_of(job, struct fixture, job)->worked_in = gettid();
}

static void done(struct job *job)
{
	struct fixture *fixture = container_of(job, struct fixture, job);

	assert_int_not_equal(fixture->worked_in, 0);
	fixture->nr_done++;
}

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){ .job = { .work = work, .done = done } };
	assert_int_equal(loop_init(&fixture->loop), 0);
	assert_int_equal(jobs_init(&fixture->jobs, &fixture->loop), 0);
}

static void end(struct fixture *fixture)
{
	assert_int_equal(fixture->nr_done, 1);
	assert_int_equal(fixture->jobs.nr_running, 0);
	jobs_deinit(&fixture->jobs);
	loop_deinit(&fixture->loop);
}

static void a_job_has_a_thread_of_its_own(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	assert_int_equal(jobs_start(&fixture.jobs, &fixture.job), 0);
	assert_int_equal(fixture.nr_done, 0);
	while (!fixture.nr_done)
		assert_int_equal(loop_run_once(&fixture.loop), 0);
	assert_int_not_equal(fixture.worked_in, gettid());
	end(&fixture);
}

static void no_other_watch(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	fail_msg("somebody is served meanwhile");
}

static void who_waits_for_jobs_serves_nobody_meanwhile(void **state)
{
	struct fixture fixture;
	struct loop_watch other = { .fd = -1, .ready = no_other_watch };
	struct pollfd wanted = { .events = POLLIN };
	int fd = eventfd(1, EFD_CLOEXEC);

	(void)state;
	begin(&fixture);
	assert_int_equal(loop_add(&fixture.loop, &other, fd, EPOLLIN), 0);
	wanted.fd = jobs_fd(&fixture.jobs);
	assert_int_equal(poll(&wanted, 1, 0), 0);
	assert_int_equal(jobs_start(&fixture.jobs, &fixture.job), 0);
	assert_int_equal(fixture.nr_done, 0);
	assert_int_equal(poll(&wanted, 1, -1), 1);
	jobs_finish(&fixture.jobs);
	assert_int_equal(fixture.nr_done, 1);
	loop_remove(&fixture.loop, &other);
	close(fd);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_has_a_thread_of_its_own),
		cmocka_unit_test(who_waits_for_jobs_serves_nobody_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
