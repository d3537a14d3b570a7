/* SPDX-License-Identifier: MIT */
/*
 * isolation - fifteen disks beside one whose guest does what it can
 *
 * Catalogue F-20, F-24. Sixteen disks, each with a server and a guest of
 * its own. Fifteen keep sixteen reads under way all the time and look at what
 * they get. The sixteenth does so, too, in some turns; in the others it does
 * one kind of harm, as fast as a thread can. It has a process of its own.
 *
 * The share of a disk is a sixteenth of the machine when all of them do the
 * same. So what the fifteen get done beside a good one is what they are
 * entitled to, and beside each kind of harm they have to get LEAST_SHARE of
 * it. All sixteen want more processors than there are.
 *
 * The machine may do other things meanwhile, and what these take says nothing
 * about ringhost. So what is done is divided by the time of processors that
 * the sixteen have used, servers and guests, hostile ones included, and that
 * nobody has used. Turns are short, and each turn of harm is compared with the
 * good ones on both sides of it. For each kind the median of the rounds counts.
 * Where that is too little it is asked for more closely, by five times as many
 * rounds, and again: a scheduler moves guests from one processor to another
 * when it likes, and a server that takes too much does so in all rounds.
 *
 * RINGHOST_SOAK=1: longer turns, and more of them.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/cputime.h"
#include "tests/e2e/harm.h"
#include "tests/e2e/hostile.h"
#include "tests/frontend/clock.h"

#define NR_DISKS    16
#define DEPTH	    16
#define BLOCK_BYTES 4096
#define MOST_ROUNDS 1000
#define LEAST_SHARE 90 /* per cent */
#define LEAST_ALONE 25 /* of a disk by itself, whose turns are few */
#define MORE_ROUNDS 5  /* times as many, */
#define MOST_LOOKS  3  /* looked at so often at most */
#define SETTLE_USEC 5000
#define BE_GOOD	    (-1) /* instead of a kind of harm */

struct disk {
	struct server server;
	struct client client;
	pthread_t thread;
	uint64_t seed;
	atomic_ulong nr_done;
	atomic_int error;
};

/* What the hostile one's process shares with this one */
struct orders {
	atomic_int wanted; /* a kind of harm, or BE_GOOD */
	atomic_int done;   /* what is done now */
	atomic_bool over;
	atomic_int error;
	atomic_uint nr_steps[NR_HARMS];
};

struct machine {
	struct disk disks[NR_DISKS]; /* the first one is the hostile one */
	struct server hostile;	     /* its guest's process */
	struct orders *orders;
	unsigned int turn_usec;
	double good[NR_DISKS], harmed[NR_DISKS]; /* requests, by disk */
};

/* What is counted at a moment, and in a turn: the difference of two */
struct count {
	uint64_t nr_done[NR_DISKS];
	double usec;	   /* of the clock */
	double all_usec;   /* that processors spent on the sixteen */
	double first_usec; /* on the first one alone */
	double idle_usec;
};

/* One kind of harm */
struct tally {
	unsigned int nr;
	double shares[MOST_ROUNDS];
	double first_usec, usec;
};

static int begin_read(struct fe_blk_request *request)
{
	request->sector = (uint64_t)(request - request->blk->slots) * 8;
	request->data_bytes = BLOCK_BYTES;
	request->type = VIRTIO_BLK_T_IN;
	memset(request->data, 0, 64);
	return fe_blk_add(request);
}

static int end_read(const struct disk *disk,
		    const struct fe_blk_request *request)
{
	int error = fe_blk_result(request);

	if (error)
		return error;
	return request->data[0] == (uint8_t)disk->seed &&
			       !memcmp(request->data, request->data + 1, 63) ?
		       0 :
		       -EILSEQ;
}

static int turn(struct disk *disk)
{
	struct fe_blk *blk = &disk->client.blks[0];
	struct fe_blk_request *request;
	int error = 0;

	while (!error && (request = fe_blk_get(blk)))
		error = begin_read(request);
	if (error)
		return error;
	fe_vring_submit(blk->vring);
	error = fe_vring_wait(blk->vring, FE_PATIENCE_MSEC);
	while (!error && fe_blk_reap(blk, &request) > 0) {
		error = end_read(disk, request);
		fe_blk_put(request);
		atomic_fetch_add_explicit(&disk->nr_done, 1,
					  memory_order_relaxed);
	}
	return error;
}

static int open_disk(struct disk *disk)
{
	const struct client_options options = {
		.depth = DEPTH,
		.data_bytes = BLOCK_BYTES,
		.memory_bytes = 1u << 20,
	};
	uint8_t block[BLOCK_BYTES];
	int error = client_open(&disk->client, &disk->server, &options);

	memset(block, (int)disk->seed, sizeof(block));
	for (unsigned int i = 0; i < DEPTH && !error; i++)
		error = fe_blk_write(&disk->client.blks[0], i * 8, block,
				     sizeof(block));
	return error;
}

struct work {
	struct machine *machine;
	struct disk *disk;
};

static void *be_good(void *opaque)
{
	struct work *work = opaque;
	struct disk *disk = work->disk;

	while (!atomic_load(&work->machine->orders->over) &&
	       !atomic_load(&disk->error))
		atomic_store(&disk->error, turn(disk));
	return NULL;
}

static bool goes_on(struct orders *orders, int kind)
{
	return atomic_load(&orders->wanted) == kind &&
	       !atomic_load(&orders->over) && !atomic_load(&orders->error);
}

static void do_harm(struct machine *machine, int kind)
{
	struct orders *orders = machine->orders;
	struct harm harm = { .server = &machine->disks[0].server };
	int error = 0;

	while (!error && goes_on(orders, kind)) {
		error = harm_kinds[kind].step(&harm);
		atomic_fetch_add(&orders->nr_steps[kind], 1);
		atomic_store(&orders->done, kind);
	}
	harm_end(&harm);
	if (error)
		atomic_store(&orders->error, error);
}

/* In the child; does not return. */
static void be_hostile(struct machine *machine)
{
	struct orders *orders = machine->orders;
	struct disk *disk = &machine->disks[0];
	int error = 0;
	int kind;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&orders->over) && !atomic_load(&orders->error)) {
		kind = atomic_load(&orders->wanted);
		if (kind != BE_GOOD) {
			do_harm(machine, kind);
			continue;
		}
		error = open_disk(disk);
		while (!error && goes_on(orders, BE_GOOD)) {
			error = turn(disk);
			atomic_store(&orders->done, BE_GOOD);
		}
		client_close(&disk->client);
		if (error)
			atomic_store(&orders->error, error);
	}
	_exit(0);
}

static void count(const struct machine *machine, struct count *ret)
{
	ret->usec = (double)fe_now_usec();
	ret->first_usec = cputime_of(machine->disks[0].server.pid) +
			  cputime_of(machine->hostile.pid);
	ret->all_usec = ret->first_usec + cputime_of(getpid());
	for (unsigned int i = 1; i < NR_DISKS; i++) {
		ret->all_usec += cputime_of(machine->disks[i].server.pid);
		ret->nr_done[i] = atomic_load(&machine->disks[i].nr_done);
	}
	ret->idle_usec = cputime_idle();
}

static void wait_until_done(const struct machine *machine, int kind)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	atomic_store(&machine->orders->wanted, kind);
	while (atomic_load(&machine->orders->done) != kind) {
		if (atomic_load(&machine->orders->error) ||
		    fe_now_usec() > deadline)
			fail_msg("the hostile one cannot go on: %s",
				 strerror(-atomic_load(
					 &machine->orders->error)));
		usleep(500);
	}
}

/* Requests of the fifteen for each second that was there for the sixteen */
static double run_turn(struct machine *machine, int kind, struct tally *tally)
{
	double *done = kind == BE_GOOD ? machine->good : machine->harmed;
	struct count before, after;
	double nr_done = 0;

	wait_until_done(machine, kind);
	usleep(SETTLE_USEC);
	count(machine, &before);
	usleep(machine->turn_usec);
	count(machine, &after);
	for (unsigned int i = 1; i < NR_DISKS; i++) {
		done[i] += (double)(after.nr_done[i] - before.nr_done[i]);
		nr_done += (double)(after.nr_done[i] - before.nr_done[i]);
	}
	tally->first_usec += after.first_usec - before.first_usec;
	tally->usec += after.usec - before.usec;
	return nr_done * 1e6 /
	       (after.all_usec - before.all_usec + after.idle_usec -
		before.idle_usec);
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

static double median(const struct tally *tally)
{
	double sorted[MOST_ROUNDS];

	memcpy(sorted, tally->shares, sizeof(sorted));
	qsort(sorted, tally->nr, sizeof(sorted[0]), compare);
	return tally->nr % 2 ?
		       sorted[tally->nr / 2] :
		       (sorted[tally->nr / 2 - 1] + sorted[tally->nr / 2]) / 2;
}

/* Good, harm, harm, good, harm, harm, ... good; of the kinds that are wanted */
static void run_round(struct machine *machine, struct tally *tallies,
		      struct tally *calm, const bool *wanted)
{
	double pending[2] = { 0 };
	unsigned int kinds[2];
	unsigned int nr = 0;
	double before = run_turn(machine, BE_GOOD, calm);
	double after;

	for (unsigned int kind = 0; kind < NR_HARMS; kind++) {
		if (wanted[kind]) {
			kinds[nr] = kind;
			pending[nr++] =
				run_turn(machine, (int)kind, &tallies[kind]);
		}
		if (nr < 2 && (!nr || kind < NR_HARMS - 1))
			continue;
		after = run_turn(machine, BE_GOOD, calm);
		while (nr) {
			struct tally *tally = &tallies[kinds[--nr]];

			tally->shares[tally->nr++] =
				pending[nr] * 200 / (before + after);
		}
		before = after;
	}
}

/* Mark the kinds that took too much; returns how many. */
static unsigned int mark_bad(const struct tally *tallies, bool *bad)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_HARMS; i++) {
		bad[i] = median(&tallies[i]) < LEAST_SHARE;
		nr += bad[i];
	}
	return nr;
}

static double processors(const struct tally *tally)
{
	return tally->first_usec * 100 / tally->usec;
}

static void report(const struct machine *machine, const struct tally *tallies)
{
	double least = 1000;

	printf("# a good one: %.1f %% of a processor\n",
	       processors(&tallies[NR_HARMS]));
	for (unsigned int i = 0; i < NR_HARMS; i++) {
		const struct tally *tally = &tallies[i];

		printf("# %s: %.1f %% of a processor, %u times; the others keep "
		       "%.1f %%, median of %u\n",
		       harm_kinds[i].what, processors(tally),
		       atomic_load(&machine->orders->nr_steps[i]),
		       median(tally), tally->nr);
		least = median(tally) < least ? median(tally) : least;
	}
	printf("# isolation: fifteen disks keep %.1f %% of their "
	       "share or more beside %u kinds of harm\n",
	       least, NR_HARMS);
}

/* Returns the number of kinds that take too much. */
static unsigned int judge(struct machine *machine)
{
	unsigned int nr_rounds = hostile_volume(3, 40);
	struct tally *tallies = calloc(NR_HARMS + 1, sizeof(*tallies));
	unsigned int nr_done = 0;
	unsigned int nr_bad = NR_HARMS;
	bool wanted[NR_HARMS];

	assert_non_null(tallies);
	memset(wanted, true, sizeof(wanted));
	for (unsigned int i = 0; i < MOST_LOOKS && nr_bad; i++) {
		for (; nr_done < nr_rounds; nr_done++)
			run_round(machine, tallies, &tallies[NR_HARMS], wanted);
		nr_bad = mark_bad(tallies, wanted);
		nr_rounds *= MORE_ROUNDS;
	}
	report(machine, tallies);
	free(tallies);
	return nr_bad;
}

/* Of the fifteen, what the one that lost most keeps in all kinds of harm */
static double least_alone(const struct machine *machine)
{
	double good = 0;
	double harmed = 0;
	double least = 1000;

	for (unsigned int i = 1; i < NR_DISKS; i++) {
		good += machine->good[i];
		harmed += machine->harmed[i];
	}
	for (unsigned int i = 1; i < NR_DISKS; i++) {
		double share = machine->harmed[i] / harmed /
			       (machine->good[i] / good) * 100;

		least = share < least ? share : least;
	}
	printf("# %.1f %% of what all of them keep has the one that lost most\n",
	       least);
	return least;
}

static struct orders *make_orders(void)
{
	struct orders *orders =
		mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(orders, MAP_FAILED);
	atomic_store(&orders->wanted, BE_GOOD);
	atomic_store(&orders->done, NR_HARMS);
	return orders;
}

static void start_machine(struct machine *machine)
{
	const struct server_options options = {
		.image_bytes = HARM_IMAGE_BYTES,
		.options = { "--cache=writeback" },
	};

	machine->turn_usec = hostile_volume(100000, 300000);
	machine->orders = make_orders();
	for (unsigned int i = 0; i < NR_DISKS; i++) {
		struct disk *disk = &machine->disks[i];

		disk->seed = 1 + i * 11;
		assert_int_equal(server_start(&disk->server, &options), 0);
	}
	machine->hostile.pid = fork();
	assert_true(machine->hostile.pid >= 0);
	if (!machine->hostile.pid)
		be_hostile(machine);
	for (unsigned int i = 1; i < NR_DISKS; i++)
		assert_int_equal(open_disk(&machine->disks[i]), 0);
}

static void end_disk(struct disk *disk)
{
	assert_int_equal(atomic_load(&disk->error), 0);
	assert_int_equal(client_fresh_io(&disk->server), 0);
	assert_int_equal(server_stop(&disk->server), 0);
}

/* F-20, F-24 */
static void one_that_does_harm_takes_nothing_from_the_others(void **state)
{
	static struct machine machine;
	struct work works[NR_DISKS];
	unsigned int nr_bad;
	double least;

	(void)state;
	start_machine(&machine);
	for (unsigned int i = 1; i < NR_DISKS; i++) {
		works[i] = (struct work){ &machine, &machine.disks[i] };
		assert_int_equal(pthread_create(&machine.disks[i].thread, NULL,
						be_good, &works[i]),
				 0);
	}
	nr_bad = judge(&machine);
	least = least_alone(&machine);
	atomic_store(&machine.orders->over, true);
	for (unsigned int i = 1; i < NR_DISKS; i++) {
		pthread_join(machine.disks[i].thread, NULL);
		client_close(&machine.disks[i].client);
	}
	assert_int_equal(server_wait(&machine.hostile, SERVER_STOP_MSEC), 0);
	assert_int_equal(atomic_load(&machine.orders->error), 0);
	for (unsigned int i = 0; i < NR_DISKS; i++)
		end_disk(&machine.disks[i]);
	munmap(machine.orders, sizeof(*machine.orders));
	assert_int_equal(nr_bad, 0);
	assert_true(least >= LEAST_ALONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			one_that_does_harm_takes_nothing_from_the_others),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("isolation", tests, NULL, NULL);
}
