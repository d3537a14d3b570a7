/* SPDX-License-Identifier: MIT */
/*
 * pager - the pages of a guest whose memory is still to come
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/pager.h"

#define PAGE_BYTES 4096u

/* A userfaultfd that works on shared memory, or -errno. */
static int open_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) == 0 &&
	    (api.features & UFFD_FEATURE_MISSING_SHMEM))
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

bool pager_possible(void)
{
	int fd = open_userfaultfd();

	if (fd < 0) {
		printf("1..0 # SKIP no userfaultfd here: %s\n", strerror(-fd));
		return false;
	}
	close(fd);
	return true;
}

void pager_init(struct pager *pager, struct fe_region *region)
{
	const size_t bytes = region->wire.size_bytes;
	struct uffdio_register watched = {
		.range = { (uintptr_t)region->host, bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	memset(pager, 0, sizeof(*pager));
	pager->region = region;
	pager->back_end_fd = -1;
	pager->wake_fd = rh_eventfd_create();
	pager->own_fd = open_userfaultfd();
	assert_true(pager->own_fd >= 0);
	pager->copy = malloc(bytes);
	assert_non_null(pager->copy);
	memcpy(pager->copy, region->host, bytes);
	assert_int_equal(fallocate(region->fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   0, (off_t)bytes),
			 0);
	assert_int_equal(ioctl(pager->own_fd, UFFDIO_REGISTER, &watched), 0);
}

/* A page that is there already is the same page: another was faster. */
void pager_bring(struct pager *pager, uint64_t offset)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)(pager->region->host + offset),
		.src = (uintptr_t)(pager->copy + offset),
		.len = PAGE_BYTES,
	};
	struct uffdio_range range = { copy.dst, PAGE_BYTES };
	int done;

	do {
		copy.copy = 0;
		done = ioctl(pager->own_fd, UFFDIO_COPY, &copy);
	} while (done < 0 && errno == EAGAIN);
	assert_true(done == 0 || errno == EEXIST);
	ioctl(pager->own_fd, UFFDIO_WAKE, &range);
	range.start = pager->back_end + offset;
	ioctl(pager->back_end_fd, UFFDIO_WAKE, &range);
}

static void serve_all(struct pager *pager, int fd, uint64_t base,
		      atomic_uint *nr)
{
	struct uffd_msg message;

	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		uint64_t address = message.arg.pagefault.address;

		assert_int_equal(message.event, UFFD_EVENT_PAGEFAULT);
		assert_in_range(address - base, 0,
				pager->region->wire.size_bytes - 1);
		atomic_fetch_add(nr, 1);
		pager_bring(pager, align_down(address - base, PAGE_BYTES));
	}
}

static void *serve(void *opaque)
{
	struct pager *pager = opaque;
	struct pollfd fds[] = {
		{ pager->wake_fd, POLLIN, 0 },
		{ pager->own_fd, POLLIN, 0 },
		{ pager->back_end_fd, POLLIN, 0 },
	};

	while (!(fds[0].revents & POLLIN)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		serve_all(pager, pager->own_fd, (uintptr_t)pager->region->host,
			  &pager->nr_own);
		serve_all(pager, pager->back_end_fd, pager->back_end,
			  &pager->nr_back_end);
	}
	return NULL;
}

void pager_serve(struct pager *pager, int back_end_fd, uint64_t back_end)
{
	pager->back_end_fd = back_end_fd;
	pager->back_end = back_end;
	pager->serves = true;
	assert_int_equal(pthread_create(&pager->thread, NULL, serve, pager), 0);
}

bool pager_sees_fault(int back_end_fd, uint64_t *address, int timeout_msec)
{
	struct pollfd pollfd = { back_end_fd, POLLIN, 0 };
	struct uffd_msg message;

	if (poll(&pollfd, 1, timeout_msec) != 1 ||
	    read(back_end_fd, &message, sizeof(message)) != sizeof(message))
		return false;
	*address = align_down(message.arg.pagefault.address, PAGE_BYTES);
	return true;
}

void pager_finish(struct pager *pager)
{
	for (uint64_t offset = 0; offset < pager->region->wire.size_bytes;
	     offset += PAGE_BYTES)
		pager_bring(pager, offset);
}

void pager_deinit(struct pager *pager)
{
	if (pager->serves) {
		rh_eventfd_signal(pager->wake_fd);
		pthread_join(pager->thread, NULL);
	}
	rh_fd_close(&pager->own_fd);
	rh_fd_close(&pager->back_end_fd);
	rh_fd_close(&pager->wake_fd);
	free(pager->copy);
}
