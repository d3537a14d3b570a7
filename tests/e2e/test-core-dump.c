/* SPDX-License-Identifier: MIT */
/*
 * core-dump - what a guest wrote is not in the core file of its server
 *
 * The server is told to dump all that the kernel can dump, and killed by a
 * signal that makes it do so, with a guest's secret in memory, in requests
 * that were carried out straight from there, and in others that went through
 * buffers of its own. The core file is then searched for it.
 *
 * Without the sandbox, which forbids the process to make a file at all; what
 * this is about is done with and without.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/client.h"
#include "tests/e2e/sanitizer.h"
#include "tests/frontend/clock.h"

#ifdef WITH_SANITIZER
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define DUMP_ALL   "0x7f" /* core(5): each kind of mapping */
#define BLOCK	   4096u
#define NR_BLOCKS  8u
#define DATA_BYTES (4 * BLOCK) /* of a request: room for a lead */
#define SECRET	   512u	       /* bytes; more than registers hold in a row */

static void make_secret(uint8_t secret[SECRET])
{
	uint32_t state = (uint32_t)getpid();

	for (unsigned int i = 0; i < SECRET; i++) {
		state = state * 1664525 + 1013904223;
		secret[i] = (uint8_t)(state >> 24);
	}
}

/* In the child that becomes the server. Its own folder is where it dumps. */
static void prepare_to_dump(const struct server *server)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (chdir(server->dir) < 0 || setrlimit(RLIMIT_CORE, &unlimited) < 0 ||
	    write(fd, DUMP_ALL, strlen(DUMP_ALL)) < 0)
		_exit(1);
	close(fd);
}

/* Some requests whose data begins at this byte of a page */
static void move_secret(struct client *client, const uint8_t *secret,
			uint32_t type, unsigned int lead)
{
	struct fe_blk *blk = &client->blks[0];

	for (unsigned int i = 0; i < NR_BLOCKS; i++) {
		struct fe_blk_request *request = fe_blk_get(blk);
		struct fe_buffer pieces[FE_BLK_MAX_PIECES];
		struct fe_buffers buffers;

		request->type = type;
		request->sector = i * (BLOCK / 512);
		request->data_bytes = BLOCK;
		for (unsigned int at = 0; at < DATA_BYTES; at += SECRET)
			memcpy(request->data + at, secret, SECRET);
		assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
		pieces[1].guest_addr += lead ? 2 * BLOCK + lead : 0;
		assert_true(fe_vring_add(blk->vring, &buffers, request) >= 0);
		blk->nr_under_way++;
		fe_vring_submit(blk->vring);
		assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
		assert_int_equal(fe_blk_result(request), 0);
		fe_blk_put(request);
	}
}

static bool has_bytes(const uint8_t *in, size_t bytes, const void *what,
		      size_t what_bytes)
{
	return memmem(in, bytes, what, what_bytes);
}

/* The ELF file in the server's folder, mapped; asserts that there is one. */
static const uint8_t *map_core(const struct server *server, size_t *bytes)
{
	DIR *dir = opendir(server->dir);
	const uint8_t *core = NULL;
	struct dirent *entry;
	char path[512];

	assert_non_null(dir);
	while (!core && (entry = readdir(dir))) {
		cleanup_close int fd = -1;
		struct stat file;

		snprintf(path, sizeof(path), "%s/%s", server->dir,
			 entry->d_name);
		if (lstat(path, &file) < 0 || !S_ISREG(file.st_mode) ||
		    !file.st_size)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		core = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE,
			    fd, 0);
		assert_ptr_not_equal(core, MAP_FAILED);
		if (file.st_size > 4 && !memcmp(core, "\177ELF", 4)) {
			*bytes = (size_t)file.st_size;
			assert_int_equal(unlink(path), 0);
		} else {
			munmap((void *)core, (size_t)file.st_size);
			core = NULL;
		}
	}
	closedir(dir);
	assert_non_null(core);
	return core;
}

static void die_with(int number, const char *engine)
{
	const struct server_options options = {
		.options = { "--sandbox=off", engine },
		.prepare = prepare_to_dump,
	};
	const struct client_options large = { .data_bytes = DATA_BYTES };
	uint8_t secret[SECRET];
	struct server server;
	struct client client;
	const uint8_t *core;
	size_t bytes = 0;

	make_secret(secret);
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_open(&client, &server, &large), 0);
	move_secret(&client, secret, VIRTIO_BLK_T_OUT, 0);
	move_secret(&client, secret, VIRTIO_BLK_T_IN, 0);
	/* at an address that the storage does not take */
	move_secret(&client, secret, VIRTIO_BLK_T_OUT, 1);
	move_secret(&client, secret, VIRTIO_BLK_T_IN, 1);
	assert_int_equal(kill(server.pid, number), 0);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 128 + number);
	core = map_core(&server, &bytes);
	/* all of it is there: its heap and its stack know the socket's path */
	assert_true(
		has_bytes(core, bytes, server.socket, strlen(server.socket)));
	assert_false(has_bytes(core, bytes, secret, sizeof(secret)));
	munmap((void *)core, bytes);
	client_close(&client);
	server_clean_up(&server);
}

static void a_core_file_holds_nothing_of_the_guest_s(void **state)
{
	(void)state;
	die_with(SIGABRT, "--aio=io_uring");
	die_with(SIGSEGV, "--aio=threads");
}

/* NULL, or why no core file comes to where this test looks */
static const char *why_not(void)
{
	static char pattern[256];
	FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
	bool has_line = file && fgets(pattern, sizeof(pattern), file);

	if (file)
		fclose(file);
	if (IS_SANITIZED)
		return "a sanitizer has memory of its own, which is not dumped";
	if (!has_line || strchr("|/\n", pattern[0]) || strchr(pattern, '/'))
		return "this host sends core files elsewhere "
		       "(kernel.core_pattern)";
	return NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_core_file_holds_nothing_of_the_guest_s),
	};

	if (server_is_missing())
		return 0;
	if (why_not()) {
		printf("1..0 # SKIP %s\n", why_not());
		return 0;
	}
	return cmocka_run_group_tests_name("core-dump", tests, NULL, NULL);
}
