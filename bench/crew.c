/* SPDX-License-Identifier: MIT */
/*
 * crew - the threads that drive the lanes
 *
 * Calls are watched edge-triggered and not read before the end, so waiting
 * costs one system call, and the count that is read then is exact.
 */
#include "bench/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/nsec.h"
#include "common/base.h"
#include "common/fd.h"

#define MAX_EVENTS	 16
#define TIMER_SLACK_NSEC 1

/* What a loop that spins says to the core, for its other thread. */
#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#else
#define relax() atomic_signal_fence(memory_order_seq_cst)
#endif

/* the lanes of a member, one after the other */
#define for_each_lane(lane, member)                                            \
	for (struct lane *lane = (member)->crew->lanes + (member)->first_lane; \
	     lane < (member)->crew->lanes + (member)->crew->nr_lanes;          \
	     lane += (member)->crew->nr_members)

static enum lane_mode mode_of(enum crew_phase phase)
{
	return phase <= CREW_MEASURES ? LANE_ASKS :
	       phase == CREW_GOES_ON  ? LANE_GOES_ON :
	       phase == CREW_CHECKS   ? LANE_CHECKS :
					LANE_ENDS;
}

static uint64_t take_calls(const struct crew_member *member)
{
	uint64_t sum = 0;
	uint64_t nr;

	for_each_lane(lane, member)
		if (read(lane->vq.vring.call_fd, &nr, sizeof(nr)) == sizeof(nr))
			sum += nr;
	return sum;
}

static void begin(struct crew_member *member)
{
	take_calls(member);
	for_each_lane(lane, member)
		lane_clear(lane);
	member->cpu_nsec = nsec_of(CLOCK_THREAD_CPUTIME_ID);
	member->begin_nsec = nsec_now();
	atomic_fetch_add(&member->crew->nr_measuring, 1);
	rh_eventfd_signal(member->crew->news_fd);
}

static void end(struct crew_member *member)
{
	member->end_nsec = nsec_now();
	member->cpu_nsec = nsec_of(CLOCK_THREAD_CPUTIME_ID) - member->cpu_nsec;
	member->nr_calls = take_calls(member);
	for_each_lane(lane, member)
		member->nr_kicks += lane->nr_kicks;
}

static void follow(struct crew_member *member, enum crew_phase phase)
{
	if (phase == member->phase)
		return;
	if (phase == CREW_MEASURES)
		begin(member);
	else if (member->phase == CREW_MEASURES)
		end(member);
	member->phase = phase;
}

/* Nothing is under way, and nothing can be asked any more. */
static bool has_finished(const struct crew_member *member)
{
	if (member->phase == CREW_FLEES)
		return true;
	if (member->phase < CREW_CHECKS)
		return false;
	for_each_lane(lane, member)
		if (!lane_is_idle(lane))
			return false;
	return true;
}

static struct timespec time_until(uint64_t due_nsec)
{
	uint64_t now = nsec_now();
	uint64_t rest = due_nsec > now ? due_nsec - now : 0;

	return (struct timespec){
		.tv_sec = (time_t)(rest / NSEC_PER_SEC),
		.tv_nsec = (long)(rest % NSEC_PER_SEC),
	};
}

/*
 * Sleep until a call, a phase, or the time of the next request. What was used
 * since the lanes' turns is not missed: they have asked for a call before.
 */
static void sleep_on_calls(struct crew_member *member)
{
	enum lane_mode mode = mode_of(member->phase);
	struct epoll_event events[MAX_EVENTS];
	uint64_t due = UINT64_MAX;
	struct timespec rest;

	for_each_lane(lane, member)
		due = MIN(due, lane_due_nsec(lane, mode));
	if (due != UINT64_MAX)
		rest = time_until(due);
	epoll_pwait2(member->epoll_fd, events, MAX_EVENTS,
		     due == UINT64_MAX ? NULL : &rest, NULL);
	for_each_lane(lane, member)
		lane_wake(lane);
}

static void drive(struct crew_member *member)
{
	struct crew *crew = member->crew;
	enum lane_mode mode;
	uint32_t nr;

	for (;;) {
		follow(member, (enum crew_phase)atomic_load_explicit(
				       &crew->phase, memory_order_acquire));
		mode = mode_of(member->phase);
		nr = 0;
		for_each_lane(lane, member)
			nr += lane_turn(lane, mode);
		if (nr && crew->poll)
			continue;
		if (has_finished(member))
			return;
		if (crew->poll)
			relax();
		else
			sleep_on_calls(member);
	}
}

static void *run(void *opaque)
{
	struct crew_member *member = opaque;

	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NSEC);
	for_each_lane(lane, member)
		lane_start(lane, member->crew->rate);
	drive(member);
	atomic_fetch_add(&member->crew->nr_ended, 1);
	rh_eventfd_signal(member->crew->news_fd);
	return NULL;
}

static int watch(const struct crew_member *member, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | (uint32_t)EPOLLET };

	return epoll_ctl(member->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ?
		       -errno :
		       0;
}

static int start(struct crew_member *member)
{
	int error;

	member->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	member->wake_fd = rh_eventfd_create();
	if (member->epoll_fd < 0 || member->wake_fd < 0)
		return -EMFILE;
	error = watch(member, member->wake_fd);
	for_each_lane(lane, member)
		if (!error)
			error = watch(member, lane->vq.vring.call_fd);
	if (!error)
		error = -pthread_create(&member->thread, NULL, run, member);
	member->started = !error;
	return error;
}

int crew_init(struct crew *crew, const struct crew_setup *setup)
{
	int error = 0;

	*crew = (struct crew){
		.lanes = setup->lanes,
		.nr_lanes = setup->nr_lanes,
		.nr_members = setup->nr_members,
		.poll = setup->poll,
		.rate = setup->rate,
		.news_fd = rh_eventfd_create(),
	};
	crew->members = calloc(crew->nr_members, sizeof(*crew->members));
	if (!crew->members || crew->news_fd < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < crew->nr_members; i++)
		crew->members[i] = (struct crew_member){
			.crew = crew,
			.first_lane = i,
			.epoll_fd = -1,
			.wake_fd = -1,
		};
	for (uint32_t i = 0; i < crew->nr_members && !error; i++)
		error = start(&crew->members[i]);
	return error;
}

void crew_set_phase(struct crew *crew, enum crew_phase phase)
{
	if (atomic_load(&crew->phase) >= (int)phase)
		return;
	atomic_store_explicit(&crew->phase, (int)phase, memory_order_release);
	for (uint32_t i = 0; i < crew->nr_members; i++)
		if (crew->members[i].started)
			rh_eventfd_signal(crew->members[i].wake_fd);
}

void crew_deinit(struct crew *crew)
{
	if (!crew->members)
		return;
	for (uint32_t i = 0; i < crew->nr_members; i++) {
		struct crew_member *member = &crew->members[i];

		if (member->started)
			pthread_join(member->thread, NULL);
		rh_fd_close(&member->epoll_fd);
		rh_fd_close(&member->wake_fd);
	}
	free(crew->members);
	crew->members = NULL;
	rh_fd_close(&crew->news_fd);
}
