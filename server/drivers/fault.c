/* SPDX-License-Identifier: MIT */
/*
 * fault - a disk that fails as it is told: opening and closing
 *
 * It is what the wrapped driver is, and says so; what the rules say happens
 * to requests only. The cache lives as long as a queue runs: whoever gets the
 * image after that finds all of it there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nsec.h"
#include "server/drivers/drivers.h"
#include "server/drivers/fault_context.h"

static void tell_rules(const struct fault *fault)
{
	for (unsigned int i = 0; i < fault->nr_rules; i++) {
		const struct fault_armed *armed = &fault->rules[i];

		rh_log(RH_LOG_INFO, fault->name,
		       "--fault=%s has applied to %llu of %llu", armed->text,
		       (unsigned long long)armed->nr_applied,
		       (unsigned long long)armed->nr_seen);
	}
}

static void fault_close(struct driver *driver)
{
	struct fault *fault = fault_of(driver);

	if (fault->inner) {
		fault_write_back(fault);
		tell_rules(fault);
		fault->inner->ops->close(fault->inner);
	}
	for (unsigned int i = 0; i < fault->nr_rules; i++)
		free(fault->rules[i].text);
	fault_cache_deinit(&fault->cache);
	pthread_mutex_destroy(&fault->lock);
	free(fault->rules);
	free(fault->name);
	free(fault);
}

static int arm_rules(struct fault *fault, const struct driver_options *options)
{
	struct fault_rule rule;
	int error;

	fault->rules = calloc(DRIVER_MAX_FAULTS, sizeof(*fault->rules));
	if (!fault->rules)
		return -ENOMEM;
	for (unsigned int i = 0; i < options->nr_faults; i++) {
		error = fault_rule_parse(options->faults[i], &rule);
		if (error)
			return error;
		fault_rule_arm(&rule, options->fault_seed, i, &fault->rules[i]);
		fault->rules[i].text = strdup(options->faults[i]);
		if (!fault->rules[i].text)
			return -ENOMEM;
		fault->nr_rules++;
	}
	return 0;
}

static void place_rules(struct fault *fault, uint64_t size_bytes)
{
	for (unsigned int i = 0; i < fault->nr_rules; i++)
		fault_rule_place(&fault->rules[i], size_bytes);
}

static int set_up(struct fault *fault, const struct driver_options *options)
{
	int error = 0;

	fault->name = strdup(options->name);
	if (!fault->name)
		return -ENOMEM;
	if (options->fault_cache_bytes)
		error = fault_cache_init(&fault->cache,
					 options->fault_cache_bytes);
	if (error)
		rh_log(RH_LOG_ERROR, options->name,
		       "no memory for --fault-cache: give a smaller one");
	if (!error)
		error = arm_rules(fault, options);
	if (!error)
		error = options->wrapped->open(options, &fault->inner);
	return error;
}

static int fault_open(const struct driver_options *options, struct driver **ret)
{
	struct fault *fault = calloc(1, sizeof(*fault));
	int error;

	if (!fault)
		return -ENOMEM;
	pthread_mutex_init(&fault->lock, NULL);
	list_init(&fault->syncs);
	list_init(&fault->reads);
	fault->seed = options->fault_seed;
	fault->opened_nsec = nsec_now();
	fault->driver.ops = &driver_fault;
	error = set_up(fault, options);
	if (error) {
		fault_close(&fault->driver);
		return error;
	}
	fault->driver.info = fault->inner->info;
	place_rules(fault, fault->inner->info.size_bytes);
	*ret = &fault->driver;
	return 0;
}

static int fault_claim(struct driver *driver)
{
	struct driver *inner = fault_of(driver)->inner;

	return inner->ops->claim ? inner->ops->claim(inner) : 0;
}

static void fault_release(struct driver *driver)
{
	struct driver *inner = fault_of(driver)->inner;

	fault_write_back(fault_of(driver));
	if (inner->ops->release)
		inner->ops->release(inner);
}

static int fault_refresh(struct driver *driver, uint64_t *ret)
{
	struct fault *fault = fault_of(driver);
	struct driver *inner = fault->inner;
	int error;

	*ret = inner->info.size_bytes;
	error = inner->ops->refresh ? inner->ops->refresh(inner, ret) : 0;
	if (error)
		return error;
	pthread_mutex_lock(&fault->lock);
	place_rules(fault, *ret);
	pthread_mutex_unlock(&fault->lock);
	return 0;
}

static int fault_resize(struct driver *driver, uint64_t size_bytes)
{
	struct driver *inner = fault_of(driver)->inner;

	return inner->ops->resize ? inner->ops->resize(inner, size_bytes) :
				    -EOPNOTSUPP;
}

/* What is in a cache of ours stays there until a guest flushes it. */
static int fault_flush(struct driver *driver)
{
	const struct fault_event event = { .op = FAULT_FLUSH };
	struct fault *fault = fault_of(driver);
	const struct driver_ops *inner = fault->inner->ops;
	struct fault_verdict verdict;

	pthread_mutex_lock(&fault->lock);
	fault_judge(fault, &event, &verdict);
	pthread_mutex_unlock(&fault->lock);
	if (verdict.error)
		return verdict.error;
	return inner->flush ? inner->flush(fault->inner) : 0;
}

/* That of a cache of ours ends with the process, as the cache does. */
static int fault_sync_error(const struct driver *driver)
{
	const struct driver *inner =
		container_of(driver, struct fault, driver)->inner;

	return inner->ops->sync_error ? inner->ops->sync_error(inner) : 0;
}

static void fault_note_sync_error(struct driver *driver, int error)
{
	struct driver *inner = fault_of(driver)->inner;

	if (inner->ops->note_sync_error)
		inner->ops->note_sync_error(inner, error);
}

const struct driver_ops driver_fault = {
	.name = "fault",
	.open = fault_open,
	.close = fault_close,
	.attach = fault_attach,
	.detach = fault_detach,
	.submit = fault_submit,
	.drain = fault_drain,
	.user_signal = fault_user_signal,
	.claim = fault_claim,
	.release = fault_release,
	.refresh = fault_refresh,
	.resize = fault_resize,
	.flush = fault_flush,
	.sync_error = fault_sync_error,
	.note_sync_error = fault_note_sync_error,
};
