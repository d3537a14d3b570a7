/* SPDX-License-Identifier: MIT */
/*
 * group_negotiation - what is offered, what is accepted, and what is neither
 */
#include <endian.h>
#include <errno.h>

#include "check/case.h"
#include "check/groups.h"
#include "check/names.h"

#define FEATURE_IOMMU	 FE_BIT(33)
#define FEATURE_PACKED	 FE_BIT(34)
#define PROTOCOL_SEND_FD FE_BIT(10)
#define PROTOCOL_INBAND	 FE_BIT(14)

static void features_come_first(struct check *check)
{
	struct vm *vm = check_dial(check);
	uint64_t features;

	check_done(check,
		   fe_session_get(&vm->session, FE_GET_FEATURES, &features),
		   "GET_FEATURES as the first message of a session");
}

static void features_stay_the_same(struct check *check)
{
	struct vm *vm;
	uint64_t features;
	uint64_t protocol;

	for (unsigned int i = 0; i < 3; i++) {
		vm = check_dial(check);
		check_done(check,
			   fe_session_get(&vm->session, FE_GET_FEATURES,
					  &features),
			   "GET_FEATURES");
		check_done(check,
			   fe_session_get(&vm->session,
					  FE_GET_PROTOCOL_FEATURES, &protocol),
			   "GET_PROTOCOL_FEATURES");
		if (features != check->target->features ||
		    protocol != check->target->protocol)
			check_fail(check,
				   "session %u was offered features 0x%llx and "
				   "protocol features 0x%llx, the first one "
				   "0x%llx and 0x%llx",
				   i + 2, (unsigned long long)features,
				   (unsigned long long)protocol,
				   (unsigned long long)check->target->features,
				   (unsigned long long)check->target->protocol);
	}
}

static void protocol_features_need_no_features(struct check *check)
{
	struct vm *vm = check_dial(check);
	uint64_t protocol;

	check_done(check,
		   fe_session_get(&vm->session, FE_GET_PROTOCOL_FEATURES,
				  &protocol),
		   "GET_PROTOCOL_FEATURES before SET_FEATURES");
	check_done(check,
		   fe_session_set(&vm->session, FE_SET_PROTOCOL_FEATURES,
				  protocol & FE_PROTOCOL_CONFIG),
		   "SET_PROTOCOL_FEATURES before SET_FEATURES");
	check_done(check, fe_session_sync(&vm->session),
		   "GET_FEATURES after SET_PROTOCOL_FEATURES");
}

static void version_1_is_offered(struct check *check)
{
	if (!(check->target->features & FE_FEATURE_VERSION_1))
		check_fail(check, "bit 32 of GET_FEATURES is 0");
}

static void mq_is_offered(struct check *check)
{
	if (!(check->target->protocol & FE_PROTOCOL_MQ))
		check_fail(check, "bit 0 of GET_PROTOCOL_FEATURES is 0");
}

static void queue_number_is_told(struct check *check)
{
	uint64_t nr = check->target->nr_queues;

	if (!nr || nr > 65535)
		check_fail(check, "GET_QUEUE_NUM is answered with %llu",
			   (unsigned long long)nr);
}

static void require(struct check *check, uint64_t all, uint64_t one,
		    uint64_t needed)
{
	if (all & one && ~all & needed)
		check_fail(check, "%s is offered without %s",
			   names_protocol(one), names_protocol(needed & ~all));
}

static void dependent_features_come_together(struct check *check)
{
	uint64_t all = check->target->protocol;

	require(check, all, PROTOCOL_INBAND, FE_PROTOCOL_BACKEND_REQ);
	require(check, all, PROTOCOL_INBAND, FE_PROTOCOL_REPLY_ACK);
	require(check, all, PROTOCOL_SEND_FD, FE_PROTOCOL_BACKEND_REQ);
}

static void all_features_are_accepted(struct check *check)
{
	struct vm *vm = check_dial(check);
	int error = fe_session_negotiate(&vm->session, ~FE_FEATURE_LOG_ALL,
					 check->target->protocol);

	check_done(check, error,
		   "accept all that is offered (0x%llx, protocol 0x%llx)",
		   (unsigned long long)check->target->features,
		   (unsigned long long)check->target->protocol);
}

static void each_feature_can_be_left_out(struct check *check)
{
	struct vm_options options = { 0 };
	struct vm *vm = &check->vm;
	int error;

	for (unsigned int bit = 0; bit < 64; bit++) {
		options.refused_features = FE_BIT(bit);
		/* without this one it may be a legacy device: 6.2 */
		if (!(check->target->features & FE_BIT(bit)) ||
		    FE_BIT(bit) == FE_FEATURE_VERSION_1)
			continue;
		vm_close(vm);
		error = vm_open(vm, check->target, &options);
		check_done(check, error, "a session without %s",
			   names_feature(FE_BIT(bit)));
		check_read(check, vm, 0);
	}
}

static void each_protocol_feature_can_be_left_out(struct check *check)
{
	struct vm_options options = { 0 };
	struct vm *vm = &check->vm;
	int error;

	for (unsigned int bit = 0; bit < 64; bit++) {
		options.refused_protocol = FE_BIT(bit);
		if (!(check->target->protocol & FE_USUAL_PROTOCOL &
		      FE_BIT(bit)))
			continue;
		vm_close(vm);
		error = vm_open(vm, check->target, &options);
		check_done(check, error, "a session without %s",
			   names_protocol(FE_BIT(bit)));
		check_read(check, vm, 0);
	}
}

static void few_features_are_enough(struct check *check)
{
	const struct vm_options options = {
		.refused_features =
			~(FE_FEATURE_VERSION_1 | FE_FEATURE_PROTOCOL),
		.refused_protocol = UINT64_MAX,
	};

	check_read(check, check_open(check, &options), 0);
}

static void features_may_be_set_twice(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	check_done(check,
		   fe_session_set(&vm->session, FE_SET_FEATURES,
				  vm->session.features),
		   "the same SET_FEATURES again");
	check_start(check, vm);
	check_read(check, vm, 0);
}

static void set_owner_may_come_twice(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	check_done(check, fe_session_command(&vm->session, FE_SET_OWNER),
		   "a second SET_OWNER");
	check_read(check, vm, 0);
}

static void reset_owner_keeps_the_session(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);

	check_done(check, fe_session_command(&vm->session, FE_RESET_OWNER),
		   "RESET_OWNER");
	check_done(check, fe_session_sync(&vm->session),
		   "GET_FEATURES after RESET_OWNER");
	/* what was negotiated still holds: it asks for a reply */
	check_done(check,
		   fe_session_set(&vm->session, FE_SET_FEATURES,
				  vm->session.features),
		   "SET_FEATURES after RESET_OWNER");
}

/* Bits that no version of the documents offers to a block device. */
static void try_foreign_bits(struct check *check, uint32_t request,
			     uint64_t offered)
{
	const unsigned int bits[] = { 2, 4, 7, 41, 50, 63 };
	struct vm *vm;
	uint64_t accepted;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		if (offered & FE_BIT(bits[i]))
			continue;
		vm = check_connect(check, NULL);
		accepted = request == FE_SET_FEATURES ? vm->session.features :
							vm->session.protocol;
		error = fe_session_set(&vm->session, request,
				       accepted | FE_BIT(bits[i]));
		check_refused(check, error, "bit %u, which was not offered",
			      bits[i]);
	}
}

static void foreign_features_are_refused(struct check *check)
{
	try_foreign_bits(check, FE_SET_FEATURES, check->target->features);
}

static void foreign_protocol_features_are_refused(struct check *check)
{
	try_foreign_bits(check, FE_SET_PROTOCOL_FEATURES,
			 check->target->protocol);
}

static const struct check_case cases[] = {
	{ .name = "features-may-be-asked-first",
	  .section = "vhost-user: GET_FEATURES",
	  .promise = "GET_FEATURES is answered with 64 bits, also as the first "
		     "message of a session",
	  .run = features_come_first },
	{ .name = "features-stay-the-same",
	  .section = "vhost-user: GET_FEATURES",
	  .promise = "each session is offered the same features",
	  .run = features_stay_the_same,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "protocol-features-need-no-features",
	  .section = "vhost-user: GET_PROTOCOL_FEATURES",
	  .promise = "protocol features can be asked for and set before "
		     "SET_FEATURES",
	  .run = protocol_features_need_no_features,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "version-1-is-offered",
	  .section = "virtio 1.3: 6.2",
	  .promise = "a device offers VIRTIO_F_VERSION_1",
	  .run = version_1_is_offered },
	{ .name = "mq-is-offered",
	  .section = "vhost-user: Multiple queue support",
	  .promise = "a back-end offers the protocol feature MQ, also with a "
		     "fixed number of queues",
	  .run = mq_is_offered,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "queue-number-is-told",
	  .section = "vhost-user: GET_QUEUE_NUM",
	  .promise = "the number of queues is at least 1, and one that virtio "
		     "can count",
	  .run = queue_number_is_told,
	  .protocol = FE_PROTOCOL_MQ },
	{ .name = "dependent-features-come-together",
	  .section = "vhost-user: In-band notifications",
	  .promise =
		  "a protocol feature is offered together with those that it "
		  "needs",
	  .run = dependent_features_come_together,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "all-offered-features-are-accepted",
	  .section = "virtio 1.3: 2.2.2",
	  .promise =
		  "whoever accepts everything that is offered is not refused",
	  .run = all_features_are_accepted },
	{ .name = "each-feature-can-be-left-out",
	  .section = "virtio 1.3: 2.2.2",
	  .promise = "a device works with any subset of its features but "
		     "VERSION_1",
	  .run = each_feature_can_be_left_out },
	{ .name = "each-protocol-feature-can-be-left-out",
	  .section = "vhost-user: Communication",
	  .promise = "a back-end works with a front-end that lacks a protocol "
		     "feature",
	  .run = each_protocol_feature_can_be_left_out,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "few-features-are-enough",
	  .section = "virtio 1.3: 2.2.2",
	  .promise = "a device works with VERSION_1 and no other feature",
	  .run = few_features_are_enough,
	  .features = FE_FEATURE_VERSION_1 },
	{ .name = "features-may-be-set-twice",
	  .section = "vhost-user: SET_FEATURES",
	  .promise = "the same features may be set again before a ring starts",
	  .run = features_may_be_set_twice },
	{ .name = "set-owner-may-come-twice",
	  .section = "vhost-user: SET_OWNER",
	  .promise = "a second SET_OWNER of the same session changes nothing",
	  .run = set_owner_may_come_twice },
	{ .name = "reset-owner-keeps-the-session",
	  .section = "vhost-user: RESET_OWNER",
	  .promise = "RESET_OWNER is ignored, or disables rings; it does not "
		     "end or forget the session",
	  .run = reset_owner_keeps_the_session },
	{ .name = "features-that-were-not-offered-are-refused",
	  .section = "virtio 1.3: 2.2.2",
	  .promise = "a device does not take a set of features that is no "
		     "subset of its own",
	  .run = foreign_features_are_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "protocol-features-that-were-not-offered-are-refused",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "success is told of what was done only, and a protocol "
		     "feature that does not exist cannot be enabled",
	  .run = foreign_protocol_features_are_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
};

const struct check_group group_negotiation = CHECK_GROUP(
	"negotiation", "what is offered, and what is accepted", cases);
