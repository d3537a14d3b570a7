/* SPDX-License-Identifier: MIT */
/* secrets - the secrets of the process, by name */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/secrets.h"

static void add(struct secrets *secrets, const char *id, const char *text)
{
	struct secret_data data = { 0 };

	assert_int_equal(secret_data_copy(text, strlen(text), &data), 0);
	assert_int_equal(secrets_add(secrets, id, &data), 0);
	assert_null(data.bytes);
}

static void expect(struct secrets *secrets, const char *id, const char *text)
{
	struct secret *secret = secret_find(secrets, id);

	assert_non_null(secret);
	assert_int_equal(secret->data.nr_bytes, strlen(text));
	assert_string_equal((const char *)secret->data.bytes, text);
}

static void a_secret_is_found_by_its_id_until_it_is_removed(void **state)
{
	struct secrets secrets;

	(void)state;
	secrets_init(&secrets);
	assert_null(secret_find(&secrets, "a"));
	add(&secrets, "a", "one");
	add(&secrets, "b", "");
	expect(&secrets, "a", "one");
	expect(&secrets, "b", "");
	secrets_remove(secret_find(&secrets, "a"));
	assert_null(secret_find(&secrets, "a"));
	expect(&secrets, "b", "");
	secrets_deinit(&secrets);
}

static void base64_is_decoded_or_refused(void **state)
{
	static const struct {
		const char *text;
		const char *meaning; /* NULL: none */
	} cases[] = {
		{ "", "" },
		{ "cw==", "s" },
		{ "c2U=", "se" },
		{ "c2Vj", "sec" },
		{ "c2Vj\ncmV0\r\n", "secret" },
		{ "++//", "\xfb\xef\xff" },
		{ "c2V", NULL },
		{ "c2V$", NULL },
		{ "c2 V", NULL },
		{ "=2Vj", NULL },
		{ "c2U=c2U=", NULL },
		{ "c===", NULL },
		{ "cw======", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *meaning = cases[i].meaning;
		struct secret_data data;

		assert_int_equal(secret_data_copy(cases[i].text,
						  strlen(cases[i].text), &data),
				 0);
		assert_int_equal(secret_data_decode(&data),
				 meaning ? 0 : -EINVAL);
		if (meaning) {
			assert_int_equal(data.nr_bytes, strlen(meaning));
			assert_memory_equal(data.bytes, meaning,
					    data.nr_bytes + 1);
		}
		secret_data_wipe(&data);
	}
}

static char path[64];

static void write_file(size_t nr_bytes)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (size_t i = 0; i < nr_bytes; i++)
		assert_int_equal(write(fd, i % 2 ? "\n" : "x", 1), 1);
	close(fd);
}

static void a_file_is_taken_as_it_is_up_to_a_size(void **state)
{
	struct secret_data data = { 0 };

	(void)state;
	write_file(4);
	assert_int_equal(secret_data_read(path, &data), 0);
	assert_int_equal(data.nr_bytes, 4);
	assert_string_equal((const char *)data.bytes, "x\nx\n");
	secret_data_wipe(&data);
	write_file(SECRET_MAX_BYTES);
	assert_int_equal(secret_data_read(path, &data), 0);
	assert_int_equal(data.nr_bytes, SECRET_MAX_BYTES);
	secret_data_wipe(&data);
	write_file(SECRET_MAX_BYTES + 1);
	assert_int_equal(secret_data_read(path, &data), -EFBIG);
	assert_int_equal(secret_data_read("/dev/null", &data), -EINVAL);
	assert_int_equal(secret_data_read("/", &data), -EINVAL);
	unlink(path);
	assert_int_equal(secret_data_read(path, &data), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(secret_data_read(path, &data), -EINVAL);
	unlink(path);
	assert_null(data.bytes);
}

static void what_is_handed_over_is_there_and_nothing_is_replaced(void **state)
{
	struct secrets from;
	struct secrets to;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	secrets_init(&from);
	secrets_init(&to);
	add(&from, "a", "one");
	add(&from, "b", "");
	add(&to, "a", "other");
	assert_int_equal(secrets_hand_over(&from, fds[0]), 0);
	assert_int_equal(secrets_take_over(&to, fds[1]), 0);
	expect(&to, "a", "other");
	expect(&to, "b", "");
	expect(&from, "a", "one");
	assert_int_equal(send(fds[0], "\xff\xff\xff\x7f", 4, 0), 4);
	assert_int_equal(secrets_take_over(&to, fds[1]), -EPROTO);
	close(fds[0]);
	assert_int_equal(secrets_take_over(&to, fds[1]), -ECONNRESET);
	close(fds[1]);
	secrets_deinit(&from);
	secrets_deinit(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_secret_is_found_by_its_id_until_it_is_removed),
		cmocka_unit_test(base64_is_decoded_or_refused),
		cmocka_unit_test(a_file_is_taken_as_it_is_up_to_a_size),
		cmocka_unit_test(
			what_is_handed_over_is_there_and_nothing_is_replaced),
	};

	snprintf(path, sizeof(path), "/tmp/ringhost-secret-%ld",
		 (long)getpid());
	return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}
