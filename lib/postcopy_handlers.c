/* SPDX-License-Identifier: MIT */
/*
 * postcopy_handlers - the messages of a postcopy migration
 *
 * They come in one order only: ADVISE, LISTEN, then the memory, then END. The
 * memory is shown as ever, but each of its messages is answered with where the
 * back-end has mapped it, and when the front-end has seen all answers it
 * confirms with a payload of one zero number, under the number of the message
 * that it sent last. That is a SET_MEM_TABLE, or an ADD_MEM_REG or REM_MEM_REG;
 * QEMU confirms under number 0 when nothing had to be sent at all.
 */
#include <errno.h>
#include <string.h>

#include "lib/handler.h"

#define CONFIRMATION_BYTES sizeof(uint64_t)

int rh_handle_postcopy_advise(struct rh_request *request)
{
	struct rh_postcopy *postcopy = &request->state->postcopy;
	int error;

	if (postcopy->phase != RH_POSTCOPY_OFF)
		return rh_refuse(request, -EBUSY, "it came before");
	error = rh_postcopy_advise(postcopy, &request->answer->fd);
	if (error)
		return rh_refuse(
			request, error,
			"userfaultfd cannot be had any more: set the sysctl "
			"vm.unprivileged_userfaultfd to 1, or let this user "
			"open /dev/userfaultfd, or allow more open files");
	return 0;
}

int rh_handle_postcopy_listen(struct rh_request *request)
{
	struct rh_postcopy *postcopy = &request->state->postcopy;

	if (postcopy->phase != RH_POSTCOPY_ADVISED)
		return rh_refuse(request, -EPROTO,
				 "POSTCOPY_ADVISE did not come right before");
	if (request->state->map->nr_regions)
		return rh_refuse(request, -EBUSY,
				 "memory was shared already, without telling "
				 "the front-end where it is");
	rh_postcopy_listen(postcopy);
	return 0;
}

int rh_handle_postcopy_end(struct rh_request *request)
{
	struct rh_session_state *state = request->state;

	if (!rh_postcopy_active(&state->postcopy))
		return rh_refuse(request, -EPROTO,
				 "POSTCOPY_LISTEN did not come before");
	rh_postcopy_end(&state->postcopy, state->map);
	request->answer->u64 = 0;
	request->answer->size = sizeof(request->answer->u64);
	return 0;
}

bool rh_is_postcopy_confirmation(const struct rh_request *request)
{
	const struct rh_postcopy *postcopy = &request->state->postcopy;
	const struct rh_incoming *incoming = request->incoming;

	if (incoming->header.size != CONFIRMATION_BYTES || incoming->nr_fds)
		return false;
	/* A table without regions looks the same. */
	if (incoming->header.request == VHOST_USER_SET_MEM_TABLE)
		return postcopy->phase == RH_POSTCOPY_UNCONFIRMED;
	return rh_postcopy_active(postcopy);
}

int rh_handle_postcopy_confirmation(struct rh_request *request)
{
	if (!rh_is_postcopy_confirmation(request))
		return rh_refuse(request, -EPROTO,
				 "there is nothing to confirm");
	if (rh_payload_u64(request))
		return rh_refuse(request, -EPROTO,
				 "the front-end cannot use the addresses");
	rh_postcopy_confirm(&request->state->postcopy);
	return 0;
}

int rh_postcopy_publish(struct rh_request *request, struct rh_map *map)
{
	struct rh_session_state *state = request->state;
	int error = 0;

	if (rh_postcopy_active(&state->postcopy))
		error = rh_postcopy_watch(&state->postcopy, map);
	if (error) {
		rh_map_put(map);
		return rh_refuse(request, error,
				 "postcopy needs guest memory in a memfd, on "
				 "tmpfs or on hugetlbfs");
	}
	rh_replace_map(state, map);
	return 0;
}

/* Where the back-end has it, in place of where the front-end has it. */
static void tell_address(const struct rh_map *map,
			 struct vhost_user_region *region)
{
	const struct guest_addr addr = { region->guest_addr };
	uint64_t contiguous;

	region->user_addr = (uintptr_t)rh_map_guest(map, addr, 1, &contiguous);
}

void rh_postcopy_answer_table(struct rh_request *request,
			      const struct vhost_user_memory *table)
{
	struct rh_answer *answer = request->answer;

	if (!rh_postcopy_active(&request->state->postcopy))
		return;
	answer->table = *table;
	answer->size = request->incoming->header.size;
	for (unsigned int i = 0; i < table->nr_regions; i++)
		tell_address(request->state->map, &answer->table.regions[i]);
}

void rh_postcopy_answer_region(struct rh_request *request,
			       const struct vhost_user_region *region)
{
	struct rh_answer *answer = request->answer;

	if (!rh_postcopy_active(&request->state->postcopy))
		return;
	answer->single.padding = 0;
	answer->single.region = *region;
	answer->size = sizeof(answer->single);
	tell_address(request->state->map, &answer->single.region);
}
