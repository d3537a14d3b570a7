/* SPDX-License-Identifier: MIT */
/*
 * fault_match - which events a rule applies to
 *
 * What is left to chance is a function of the seed, the rule and the event's
 * number: no state but the count, so that rules do not disturb each other and
 * a run can be repeated.
 */
#include "common/base.h"
#include "server/drivers/fault_rule.h"

#define PPM 1000000u

/* Of the splitmix64 kind: each bit of the input changes half of the output. */
static uint64_t mix(uint64_t value)
{
	value ^= value >> 30;
	value *= UINT64_C(0xbf58476d1ce4e5b9);
	value ^= value >> 27;
	value *= UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

uint64_t fault_random(uint64_t seed, uint64_t a, uint64_t b)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);

	return mix(mix(mix(seed + odd) + a + odd) + b + odd);
}

void fault_rule_arm(const struct fault_rule *rule, uint64_t seed,
		    unsigned int index, struct fault_armed *ret)
{
	*ret = (struct fault_armed){
		.rule = *rule,
		.seed = fault_random(seed, index, 0),
	};
}

static uint64_t place_bytes(const struct fault_place *place,
			    uint64_t size_bytes)
{
	if (!place->is_percent)
		return place->number;
	return size_bytes / 100 * place->number +
	       size_bytes % 100 * place->number / 100;
}

void fault_rule_place(struct fault_armed *armed, uint64_t size_bytes)
{
	armed->start_bytes = place_bytes(&armed->rule.start, size_bytes);
	armed->end_bytes = place_bytes(&armed->rule.end, size_bytes);
}

static bool is_concerned(const struct fault_armed *armed,
			 const struct fault_event *event)
{
	if (!(armed->rule.ops & 1u << event->op))
		return false;
	if (!armed->rule.has_offset)
		return true;
	if (event->op == FAULT_FLUSH || event->op == FAULT_HOST_SYNC)
		return false;
	return event->offset_bytes < armed->end_bytes &&
	       event->offset_bytes + event->bytes > armed->start_bytes;
}

/* number: of the event, from 1 on */
static bool counts(const struct fault_rule *rule, uint64_t number)
{
	if (number <= rule->after)
		return false;
	number -= rule->after;
	if (rule->first && number > rule->first)
		return false;
	if (rule->nth && number != rule->nth)
		return false;
	return !rule->every || number % rule->every == 0;
}

static bool is_down(const struct fault_rule *rule, uint64_t age_nsec)
{
	if (!rule->down_nsec)
		return true;
	return age_nsec % (rule->up_nsec + rule->down_nsec) >= rule->up_nsec;
}

bool fault_rule_applies(struct fault_armed *armed,
			const struct fault_event *event)
{
	const struct fault_rule *rule = &armed->rule;

	if (!is_concerned(armed, event))
		return false;
	armed->nr_seen++;
	if (!counts(rule, armed->nr_seen) || !is_down(rule, event->age_nsec))
		return false;
	if (rule->chance_ppm &&
	    fault_random(armed->seed, armed->nr_seen, 1) % PPM >=
		    rule->chance_ppm)
		return false;
	armed->nr_applied++;
	return true;
}

uint64_t fault_rule_delay(const struct fault_armed *armed)
{
	const struct fault_rule *rule = &armed->rule;
	uint64_t span = rule->max_nsec - rule->min_nsec + 1;

	return rule->min_nsec +
	       fault_random(armed->seed, armed->nr_seen, 2) % span;
}
