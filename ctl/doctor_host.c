/* SPDX-License-Identifier: MIT */
/*
 * doctor_host - the kernel, what it lets a process do, and its limits
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "ctl/doctor.h"

#define FDS_OF_A_DISK	 64 /* with a guest of 16 queues */
#define FDS_OF_A_PROCESS 64
#define FEW_FDS		 4096

struct version {
	unsigned int major, minor;
};

static struct version kernel_version(const struct utsname *name)
{
	struct version version = { 0 };
	char *end;

	version.major = (unsigned int)strtoul(name->release, &end, 10);
	if (*end == '.')
		version.minor = (unsigned int)strtoul(end + 1, NULL, 10);
	return version;
}

static bool is_before(struct version version, unsigned int major,
		      unsigned int minor)
{
	return version.major < major ||
	       (version.major == major && version.minor < minor);
}

static void look_at_kernel(struct doctor *doctor, struct version version,
			   const char *release)
{
	if (is_before(version, 5, 17))
		doctor_say(doctor, DOCTOR_WARNING, "kernel",
			   "Linux %s; io_uring is used from 5.17 on, before "
			   "that a pool of threads",
			   release);
	else
		doctor_say(doctor, DOCTOR_OK, "kernel", "Linux %s", release);
}

/* Why a ring is refused, as far as the host says. */
static void explain_uring(struct doctor *doctor, int error)
{
	static const char use[] = "disks use a pool of threads instead";
	char level[16] = "0";

	doctor_read("/proc/sys/kernel/io_uring_disabled", level, sizeof(level));
	if (error == ENOSYS)
		doctor_say(doctor, DOCTOR_WARNING, "io_uring",
			   "this kernel has none; %s", use);
	else if (*level == '2')
		doctor_say(doctor, DOCTOR_WARNING, "io_uring",
			   "it is switched off; sysctl "
			   "kernel.io_uring_disabled=0 allows it, until then "
			   "%s",
			   use);
	else if (*level == '1')
		doctor_say(doctor, DOCTOR_WARNING, "io_uring",
			   "it is for privileged processes only; add this user "
			   "to the group of kernel.io_uring_group, or set "
			   "kernel.io_uring_disabled=0; until then %s",
			   use);
	else
		doctor_say(doctor, DOCTOR_WARNING, "io_uring",
			   "it is refused (%s), by a filter of system calls "
			   "such as that of a container; allow io_uring_setup, "
			   "io_uring_enter and io_uring_register, until then "
			   "%s",
			   strerror(error), use);
}

static void look_at_uring(struct doctor *doctor)
{
	struct io_uring_params params = { 0 };
	long fd = syscall(SYS_io_uring_setup, 2U, &params);

	if (fd < 0) {
		explain_uring(doctor, errno);
		return;
	}
	close((int)fd);
	doctor_say(doctor, DOCTOR_OK, "io_uring", "this user may use it");
}

/* Of the daemon, or of this process. */
static bool get_limit(const struct doctor *doctor, int which,
		      struct rlimit *ret)
{
	return prlimit(doctor->daemon, (__rlimit_resource_t)which, NULL, ret) ==
		       0 ||
	       prlimit(0, (__rlimit_resource_t)which, NULL, ret) == 0;
}

static void look_at_files(struct doctor *doctor)
{
	unsigned long long wanted =
		FDS_OF_A_PROCESS + FDS_OF_A_DISK * doctor->nr_disks;
	struct rlimit limit;

	if (!get_limit(doctor, RLIMIT_NOFILE, &limit))
		return;
	wanted = MAX(wanted, (unsigned long long)FEW_FDS);
	if (limit.rlim_max < wanted)
		doctor_say(doctor, DOCTOR_WARNING, "open files",
			   "at most %llu, and %u disks may need %llu; raise "
			   "LimitNOFILE= of the service, or ulimit -Hn",
			   (unsigned long long)limit.rlim_max,
			   MAX(doctor->nr_disks, 1u), wanted);
	else
		doctor_say(doctor, DOCTOR_OK, "open files", "at most %llu",
			   (unsigned long long)limit.rlim_max);
}

/* Rings were counted as locked memory before Linux 5.12. */
static void look_at_memory(struct doctor *doctor, struct version version)
{
	struct rlimit limit;

	if (!get_limit(doctor, RLIMIT_MEMLOCK, &limit))
		return;
	if (is_before(version, 5, 12) && limit.rlim_cur < (1u << 24))
		doctor_say(doctor, DOCTOR_WARNING, "locked memory",
			   "at most %llu bytes, in which this kernel counts "
			   "rings; raise LimitMEMLOCK= of the service, or "
			   "ulimit -l",
			   (unsigned long long)limit.rlim_cur);
	else
		doctor_say(doctor, DOCTOR_OK, "locked memory",
			   "nothing that counts as such is used");
}

static void look_at_aio(struct doctor *doctor)
{
	char used[32];
	char most[32];

	if (!doctor_read("/proc/sys/fs/aio-nr", used, sizeof(used)) ||
	    !doctor_read("/proc/sys/fs/aio-max-nr", most, sizeof(most)))
		return;
	if (strtoull(used, NULL, 10) >= strtoull(most, NULL, 10))
		doctor_say(doctor, DOCTOR_WARNING, "fs.aio-max-nr",
			   "all %s are in use; requests cost a little more "
			   "until it is raised",
			   most);
	else
		doctor_say(doctor, DOCTOR_OK, "fs.aio-max-nr",
			   "%s of %s are in use", used, most);
}

static void look_at_sandbox(struct doctor *doctor)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0UL,
			       LANDLOCK_CREATE_RULESET_VERSION);
	char actions[128];

	if (version > 0)
		doctor_say(doctor, DOCTOR_OK, "Landlock", "version %ld",
			   version);
	else
		doctor_say(doctor, DOCTOR_WARNING, "Landlock",
			   "there is none (%s); a process that was taken over "
			   "can open files: Linux 5.13 with landlock in lsm= "
			   "has it",
			   strerror(errno));
	if (prctl(PR_GET_SECCOMP) >= 0 &&
	    doctor_read("/proc/sys/kernel/seccomp/actions_avail", actions,
			sizeof(actions)))
		doctor_say(doctor, DOCTOR_OK, "seccomp", "there is");
	else
		doctor_say(doctor, DOCTOR_WARNING, "seccomp",
			   "there is none; a process that was taken over can "
			   "make any system call");
}

static void look_at_postcopy(struct doctor *doctor)
{
	char allowed[16] = "0";

	doctor_read("/proc/sys/vm/unprivileged_userfaultfd", allowed,
		    sizeof(allowed));
	if (access("/dev/userfaultfd", R_OK | W_OK) == 0 || *allowed == '1')
		doctor_say(doctor, DOCTOR_OK, "userfaultfd",
			   "this user may use it");
	else
		doctor_say(doctor, DOCTOR_WARNING, "userfaultfd",
			   "this user may not use it, so postcopy migration is "
			   "refused; give it /dev/userfaultfd");
}

void doctor_host(struct doctor *doctor)
{
	struct version version;
	struct utsname name;

	uname(&name);
	version = kernel_version(&name);
	look_at_kernel(doctor, version, name.release);
	look_at_uring(doctor);
	look_at_files(doctor);
	look_at_memory(doctor, version);
	look_at_aio(doctor);
	look_at_sandbox(doctor);
	look_at_postcopy(doctor);
}
