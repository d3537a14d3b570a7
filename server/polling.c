/* SPDX-License-Identifier: MIT */
/*
 * polling - whether a worker should look again before it sleeps
 *
 * Each wait is weighed as if it had been looked through: one that ended in
 * time gains a sleep and costs its length, one that did not costs the whole
 * look. The mean of that over the last eight or so says whether to look at the
 * next. A wait that was slept through counts without its wake-up, so that
 * traffic that begins to pay is noticed without an attempt; the attempts are
 * for hosts on which waking up takes much longer than assumed here.
 *
 * Looks that often find nothing though others did, and a thread that was taken
 * off its core while it looked, mean that looking itself is in the way, for
 * instance of a driver that waits for our core. What was slept through says
 * nothing about that. So each doubles the number of waits to sleep through
 * before the next look, and a row of looks that find something halves it.
 */
#include <string.h>

#include "common/base.h"
#include "server/polling.h"

/* Longer looks cannot pay: what comes that late is cheaper to sleep for. */
#define MAX_LOOK_NSEC (2 * POLLING_SLEEP_NSEC)

/* Between two looks, which take less than one: somebody else had the core. */
#define AWAY_NSEC    20000

#define MEAN_OF	     8
#define MIN_HOLD_OFF 8
#define OFTEN	     8 /* one failure for less than so many that paid */
#define MAX_HOLD_OFF POLLING_ATTEMPT_EVERY

void polling_init(struct polling *polling, unsigned int max_usec)
{
	memset(polling, 0, sizeof(*polling));
	polling->limit_nsec =
		MIN(max_usec * UINT64_C(1000), (uint64_t)MAX_LOOK_NSEC);
}

static void weigh(struct polling *polling, uint64_t waited_nsec)
{
	struct polling_past *past = &polling->pasts[polling->wait];
	int64_t gain_nsec = -(int64_t)polling->limit_nsec;

	if (waited_nsec <= polling->limit_nsec)
		gain_nsec = POLLING_SLEEP_NSEC - (int64_t)waited_nsec;
	past->gain_nsec += (gain_nsec - past->gain_nsec) / MEAN_OF;
}

static void hold_off(struct polling_past *past)
{
	past->hold_off = MIN(MAX(2 * past->hold_off, MIN_HOLD_OFF + 0u),
			     MAX_HOLD_OFF + 0u);
}

static bool is_worth_while(struct polling_past *past)
{
	bool held = !past->nr_paid && past->nr_slept < past->hold_off;
	bool pays = past->gain_nsec > 0 && !held;

	if (pays || past->nr_slept >= POLLING_ATTEMPT_EVERY) {
		past->nr_slept = 0;
		return true;
	}
	past->nr_slept++;
	return false;
}

static void begin_wait(struct polling *polling, enum polling_wait wait,
		       uint64_t now_nsec)
{
	polling->wait = wait;
	polling->since_nsec = now_nsec;
	polling->nr_looks = 0;
	polling->state = is_worth_while(&polling->pasts[wait]) ?
				 POLLING_LOOKING :
				 POLLING_SLEEPING;
}

/* The first look submits what was prepared, and may take its time. */
static bool was_away(const struct polling *polling, uint64_t now_nsec)
{
	return polling->nr_looks > 1 &&
	       now_nsec - polling->last_look_nsec > AWAY_NSEC;
}

static void look_again(struct polling *polling, uint64_t now_nsec)
{
	struct polling_past *past = &polling->pasts[polling->wait];
	bool away = was_away(polling, now_nsec);

	if (!away && now_nsec - polling->since_nsec < polling->limit_nsec)
		return;
	if (away || past->nr_paid < OFTEN)
		hold_off(past);
	past->nr_paid = 0;
	polling->state = POLLING_SLEEPING;
}

bool polling_look(struct polling *polling, enum polling_wait wait,
		  uint64_t now_nsec)
{
	if (!polling_is_on(polling))
		return false;
	if (polling->state == POLLING_IDLE)
		begin_wait(polling, wait, now_nsec);
	else if (polling->state == POLLING_LOOKING)
		look_again(polling, now_nsec);
	polling->last_look_nsec = now_nsec;
	polling->nr_looks++;
	return polling->state == POLLING_LOOKING;
}

void polling_found(struct polling *polling, uint64_t now_nsec)
{
	struct polling_past *past = &polling->pasts[polling->wait];
	uint64_t waited_nsec = now_nsec - polling->since_nsec;

	if (polling->state == POLLING_IDLE)
		return;
	if (polling->state == POLLING_SLEEPING) {
		waited_nsec -= MIN(waited_nsec, (uint64_t)POLLING_WAKE_UP_NSEC);
	} else {
		past->nr_paid++;
		if (past->nr_paid % OFTEN == 0)
			past->hold_off /= 2;
		/* an attempt that succeeds is the better measurement */
		if (past->gain_nsec <= 0)
			past->gain_nsec = 0;
	}
	weigh(polling, waited_nsec);
	polling->state = POLLING_IDLE;
}
