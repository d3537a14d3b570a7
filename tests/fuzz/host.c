/* SPDX-License-Identifier: MIT */
/* host - the calls to the kernel that a fuzzer stands in for */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/fuzz/host.h"

static bool allows_any;
static bool allows_memory;
static int nr_mappings;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__real_mmap64(void *address, size_t bytes, int protection, int flags,
		    int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags,
		    int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
int __wrap_munmap(void *address, size_t bytes);

void host_allow_postcopy(bool any, bool memory)
{
	allows_any = any;
	allows_memory = memory;
}

int host_nr_mappings(void)
{
	return nr_mappings;
}

static long fail(int error)
{
	errno = error;
	return -1;
}

/* It takes six words, whatever there are. */
__attribute__((no_sanitize_address)) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_userfaultfd)
		return allows_any ? rh_eventfd_create() : fail(ENOSYS);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case UFFDIO_API:
		((struct uffdio_api *)argument)->features =
			UFFD_FEATURE_MISSING_SHMEM;
		return 0;
	case UFFDIO_REGISTER:
		return allows_memory ? 0 : (int)fail(EINVAL);
	case UFFDIO_UNREGISTER:
	case UFFDIO_WAKE:
		return 0;
	}
	return __real_ioctl(fd, request, argument);
}

/* The name that large files give it. A mapping over another takes its place. */
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags,
		    int fd, off_t offset)
{
	void *result =
		__real_mmap64(address, bytes, protection, flags, fd, offset);

	if (result != MAP_FAILED && !(flags & MAP_FIXED))
		nr_mappings++;
	return result;
}

int __wrap_munmap(void *address, size_t bytes)
{
	nr_mappings--;
	return __real_munmap(address, bytes);
}
