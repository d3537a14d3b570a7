/* SPDX-License-Identifier: MIT */
/*
 * target - the back-end under test: what it is, and whether it still serves
 *
 * A back-end that cannot be tested at all is told from one that fails: this
 * file asks for no more than a VMM needs before a guest can boot.
 */
#include "check/target.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check/vm.h"
#include "common/base.h"
#include "tests/frontend/clock.h"

#define REST_USEC   2000
#define REST_ROUNDS 15 /* the same numbers so often: nothing moves any more */

pid_t target_find_pid(const struct target *target)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	cleanup_close int sock = -1;
	char path[64];

	if (target->given_pid)
		return MAX(target->given_pid, 0);
	if (fe_connect(target->socket, &sock) < 0 ||
	    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return 0;
	/* a socket that a service manager made is not the back-end's */
	snprintf(path, sizeof(path), "/proc/%d/fd", peer.pid);
	return peer.pid > 1 && access(path, R_OK | X_OK) == 0 ? peer.pid : 0;
}

static void learn_config(struct target *target)
{
	const struct virtio_blk_config *config = &target->config;
	uint64_t features = target->features;

	target->nr_sectors = le64toh(config->capacity);
	target->read_only = features & FE_BIT(VIRTIO_BLK_F_RO);
	target->block_bytes = 512;
	if (features & FE_BIT(VIRTIO_BLK_F_BLK_SIZE))
		target->block_bytes = le32toh(config->blk_size);
	target->seg_max = 1;
	if (features & FE_BIT(VIRTIO_BLK_F_SEG_MAX))
		target->seg_max = MAX(1u, le32toh(config->seg_max));
	target->unit_bytes = MAX(4096u, target->block_bytes);
	target->scratch_bytes =
		MAX(TARGET_SCRATCH_BYTES, TARGET_NR_SLOTS * target->unit_bytes);
	target->scratch_sector = 0;
}

static const char *find_obstacle(struct target *target)
{
	uint64_t nr_bytes;

	if (!is_power_of_2(target->block_bytes) || target->block_bytes < 512 ||
	    target->block_bytes > 2 << 20)
		return "its configuration space tells a block size that is "
		       "no power of two from 512 to 2 MiB";
	if (mul_overflows(target->nr_sectors, 512, &nr_bytes) ||
	    nr_bytes < target->scratch_bytes)
		return "its disk is too small: give it one of at least 1 MiB, "
		       "or of 16 blocks";
	nr_bytes = align_down(nr_bytes, target->block_bytes);
	target->scratch_sector = (nr_bytes - target->scratch_bytes) / 512;
	return NULL;
}

/* Read or write (data_out) the whole scratch range. */
static int transfer_scratch(const struct target *target, struct vm *vm,
			    uint8_t *data_in, const uint8_t *data_out)
{
	uint32_t unit = target->unit_bytes;
	uint64_t sector = target->scratch_sector;
	int error = 0;

	for (uint32_t at = 0; at < target->scratch_bytes && !error; at += unit)
		error = data_out ? fe_blk_write(&vm->blks[0], sector + at / 512,
						data_out + at, unit) :
				   fe_blk_read(&vm->blks[0], sector + at / 512,
					       data_in + at, unit);
	return error;
}

static int learn_session(struct target *target, struct vm *vm, const char **why)
{
	int error = vm_connect(vm, target, NULL);

	*why = "it does not negotiate features as the vhost-user document says";
	if (error)
		return error;
	target->features = vm->session.offered_features;
	target->protocol = vm->session.offered_protocol;
	target->nr_queues = vm->session.nr_queues;
	*why = "it does not offer the protocol feature CONFIG, so that its "
	       "disk's size is not known";
	if (!(vm->session.protocol & FE_PROTOCOL_CONFIG))
		return -ENOTSUP;
	*why = "it does not answer GET_CONFIG for the 60 bytes of a block "
	       "device's configuration space";
	error = fe_session_get_config(&vm->session, 0, &target->config,
				      TARGET_CONFIG_BYTES);
	if (error)
		return error;
	learn_config(target);
	*why = find_obstacle(target);
	return *why ? -ENOTSUP : 0;
}

int target_learn(struct target *target, const char **why)
{
	static struct vm vm;
	int error = vm_dial(&vm, target);

	*why = "nobody listens on this socket";
	vm_close(&vm);
	if (error)
		return error;
	target->pid = target_find_pid(target);
	error = learn_session(target, &vm, why);
	if (!error) {
		*why = "it does not start a ring and serve reads on it";
		target->scratch = malloc(target->scratch_bytes);
		error = target->scratch ? 0 : -ENOMEM;
	}
	if (!error)
		error = vm_prepare(&vm, target, NULL);
	if (!error)
		error = vm_start(&vm);
	if (!error)
		error = transfer_scratch(target, &vm, target->scratch, NULL);
	vm_close(&vm);
	return error;
}

void target_deinit(struct target *target)
{
	free(target->scratch);
	target->scratch = NULL;
}

int target_serves(struct target *target, const char **why)
{
	static struct vm vm;
	int error = vm_dial(&vm, target);

	*why = "it does not listen any more";
	vm_close(&vm);
	if (error)
		return error;
	*why = "it does not answer a fresh front-end any more";
	error = vm_connect(&vm, target, NULL);
	if (!error) {
		*why = "it does not serve a fresh front-end's reads any more";
		error = vm_prepare(&vm, target, NULL);
	}
	if (!error)
		error = vm_start(&vm);
	if (!error)
		error = fe_blk_read(&vm.blks[0], target->scratch_sector,
				    vm.blks[0].slots[0].data,
				    target->unit_bytes);
	vm_close(&vm);
	return error;
}

int target_restore(const struct target *target)
{
	static struct vm vm;
	int error = vm_open(&vm, target, NULL);

	if (!error)
		error = transfer_scratch(target, &vm, NULL, target->scratch);
	if (!error)
		error = fe_blk_flush(&vm.blks[0]);
	vm_close(&vm);
	return error;
}

bool target_is_restored(const struct target *target)
{
	static struct vm vm;
	cleanup_free uint8_t *now = malloc(target->scratch_bytes);
	int error = now ? vm_open(&vm, target, NULL) : -ENOMEM;

	if (!error)
		error = transfer_scratch(target, &vm, now, NULL);
	vm_close(&vm);
	return !error && !memcmp(now, target->scratch, target->scratch_bytes);
}

uint64_t target_slot_sector(const struct target *target, unsigned int slot)
{
	return target->scratch_sector +
	       slot % TARGET_NR_SLOTS * (uint64_t)(target->unit_bytes / 512);
}

const uint8_t *target_slot_data(const struct target *target, unsigned int slot)
{
	return target->scratch +
	       slot % TARGET_NR_SLOTS * (size_t)target->unit_bytes;
}

static int count_fds(pid_t pid)
{
	char path[64];
	int nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -ENOENT;
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2; /* without . and .. */
}

/*
 * Those that are shared, as a front-end's memory must be: what an allocator
 * maps for itself comes and goes as it likes.
 */
static int count_maps(pid_t pid)
{
	char path[64];
	char line[512];
	char shared;
	int nr = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return -ENOENT;
	while (fgets(line, sizeof(line), file))
		nr += sscanf(line, "%*s %*c%*c%*c%c", &shared) == 1 &&
		      shared == 's';
	fclose(file);
	return nr;
}

int target_measure(const struct target *target, struct target_footprint *ret)
{
	uint64_t deadline = fe_deadline(target->timeout_msec);
	struct target_footprint last = { -1, -1 };
	unsigned int nr_same = 0;
	static struct vm vm;
	int error = target->pid > 0 ? vm_dial(&vm, target) : -ENOENT;

	/* its answer means that the session before is gone */
	if (!error)
		error = fe_session_sync(&vm.session);
	/* but some thread may still be tidying up */
	while (!error && nr_same < REST_ROUNDS && fe_now_usec() < deadline) {
		usleep(REST_USEC);
		ret->nr_fds = count_fds(target->pid);
		ret->nr_maps = count_maps(target->pid);
		if (ret->nr_fds < 0 || ret->nr_maps < 0)
			error = -ENOENT;
		nr_same = ret->nr_fds == last.nr_fds &&
					  ret->nr_maps == last.nr_maps ?
				  nr_same + 1 :
				  0;
		last = *ret;
	}
	vm_close(&vm);
	return error;
}
