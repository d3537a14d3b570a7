/* SPDX-License-Identifier: MIT */
/* confined - what a server under test has given up, as the kernel tells it */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/confined.h"

#define WHICH_VERSION 1u /* a flag of landlock_create_ruleset(2) */

struct confined_rights confined_rights_of(const char *path)
{
	struct confined_rights rights = { 0, -1, -1 };
	unsigned long long set;
	char line[256];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Cap%*3s: %llx", &set) == 1)
			rights.capabilities |= set;
		sscanf(line, "NoNewPrivs: %d", &rights.no_new_privileges);
		sscanf(line, "Seccomp: %d", &rights.filter);
	}
	if (file)
		fclose(file);
	return rights;
}

/* They come and go as the kernel likes. */
static bool is_of_io_uring(const struct server *server, const char *thread)
{
	char path[300];
	char name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", server->pid,
		 thread);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(name, sizeof(name), file))
			name[0] = '\0';
		fclose(file);
	}
	return !strncmp(name, "iou-", 4);
}

unsigned int confined_count(const struct server *server)
{
	unsigned int nr = 0;
	struct dirent *entry;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", server->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct confined_rights rights;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status",
			 server->pid, entry->d_name);
		rights = confined_rights_of(path);
		if (rights.filter < 0)
			continue; /* a thread of the kernel's that has ended */
		assert_int_equal(rights.no_new_privileges, 1);
		assert_int_equal(rights.filter, 2);
		/* who has no privilege cannot empty the set of those to gain */
		if (!geteuid())
			assert_int_equal(rights.capabilities, 0);
		nr += !is_of_io_uring(server, entry->d_name);
	}
	closedir(dir);
	return nr;
}

void confined_without_landlock(const struct server *server)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset,
			 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	(void)server;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(1);
}

bool confined_can_be(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0UL, WHICH_VERSION) >=
	       1;
}
