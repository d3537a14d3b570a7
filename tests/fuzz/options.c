/* SPDX-License-Identifier: MIT */
/*
 * options - fuzzes the command lines, and the one file format that is read
 *
 * The first byte says what the others are: the words of a command line, ended
 * by newlines; the text of a size; the first and the last bytes of an image,
 * which is looked at for formats that are not raw. A user is trusted with
 * what they say, not with saying it rightly.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/options.h"
#include "check/options.h"
#include "common/base.h"
#include "common/fd.h"
#include "server/drivers/probe.h"
#include "server/hints.h"
#include "server/options.h"
#include "server/run_command.h"
#include "server/sizes.h"
#include "tests/fuzz/fuzz.h"

#define MAX_WORDS   40
#define IMAGE_BYTES 4096

struct words {
	int nr;
	char *list[MAX_WORDS + 2]; /* with the program's name, and NULL */
};

struct group *__wrap_getgrnam(const char *name);

/* Of the host's groups there are two. */
struct group *__wrap_getgrnam(const char *name)
{
	static struct group group = { .gr_gid = 7 };

	return !strcmp(name, "disk") || !strcmp(name, "kvm") ? &group : NULL;
}

static void add_word(struct words *words, const char *text, size_t bytes)
{
	char *word = malloc(bytes + 1);

	FUZZ_CHECK(word);
	memcpy(word, text, bytes);
	word[bytes] = '\0';
	words->list[words->nr++] = word;
}

/* Each word in a block of its own size */
static void read_words(struct words *words, const char *program,
		       struct fuzz_input *in)
{
	*words = (struct words){ 0 };
	add_word(words, program, strlen(program));
	while (fuzz_more(in) && words->nr <= MAX_WORDS) {
		const uint8_t *start = in->at;

		while (fuzz_more(in) && *in->at && *in->at != '\n')
			in->at++;
		add_word(words, (const char *)start, (size_t)(in->at - start));
		fuzz_u8(in);
	}
}

static void free_words(struct words *words)
{
	for (int i = 0; i < words->nr; i++)
		free(words->list[i]);
}

static void print_hints(const struct options *options, const char *socket_path)
{
	const struct export_options *export = &options->server.export;
	const struct hints hints = {
		.name = export->name,
		.image = options->image ? options->image : "null",
		.socket = options->fd < 0 ? socket_path : NULL,
		.fd = options->fd,
		.size_bytes = options->server.driver_options.size_bytes,
		.cache = "none",
		.engine = "threads",
		.nr_queues = export->nr_queues,
		.queue_size = export->queue_size,
		.read_only = options->server.driver_options.read_only,
	};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	FUZZ_CHECK(out);
	hints_print_ready(&hints, out);
	hints_print_paste(&hints, out);
	fclose(out);
	free(text);
}

static void check_numbers(const struct options *options)
{
	const struct export_options *export = &options->server.export;

	FUZZ_CHECK(export->nr_queues &&
		   export->nr_queues <= OPTIONS_MAX_QUEUES);
	FUZZ_CHECK(export->queue_size >= OPTIONS_MIN_QUEUE_SIZE &&
		   export->queue_size <= OPTIONS_MAX_QUEUE_SIZE &&
		   is_power_of_2(export->queue_size));
	FUZZ_CHECK(options->server.nr_workers &&
		   options->server.nr_workers <= OPTIONS_MAX_THREADS);
	FUZZ_CHECK(options->socket_mode <= 07777);
	FUZZ_CHECK(options->server.driver);
}

static void complete_command(char **argv)
{
	const struct run_disk disk = { .fd = 3,
				       .nr_queues = 4,
				       .queue_size = 64 };
	char **command;

	if (run_command_create(argv, &disk, &command) < 0)
		return;
	for (unsigned int i = 0; argv[i]; i++)
		FUZZ_CHECK(command[i] == argv[i]);
	run_command_free(command, argv);
}

static void parse_server(struct fuzz_input *in)
{
	struct options options;
	struct words words;
	char *path;

	read_words(&words, "ringhost", in);
	if (!options_parse(words.nr, words.list, &options)) {
		if (options.command == OPTIONS_RUN)
			complete_command(options.run_argv);
		if (options.command == OPTIONS_SERVE) {
			check_numbers(&options);
			FUZZ_CHECK(!options_socket_path(&options, &path));
			print_hints(&options, path);
			free(path);
		}
	}
	free_words(&words);
}

static void parse_check(struct fuzz_input *in)
{
	struct check_options options;
	struct words words;

	read_words(&words, "check", in);
	if (!check_options_parse(words.nr, words.list, &options))
		FUZZ_CHECK(options.help || options.list || options.socket);
	free_words(&words);
}

static void parse_bench(struct fuzz_input *in)
{
	struct bench_options options;
	struct words words;

	read_words(&words, "bench", in);
	if (!bench_options_parse(words.nr, words.list, &options))
		FUZZ_CHECK(options.help ||
			   (options.socket && options.block_bytes &&
			    options.nr_queues &&
			    options.nr_queues <= BENCH_MAX_QUEUES &&
			    options.iodepth <= BENCH_MAX_IODEPTH));
	free_words(&words);
}

/* A command behind `ringhost run` */
static void parse_command(struct fuzz_input *in)
{
	struct words words;

	read_words(&words, "qemu-system-x86_64", in);
	complete_command(words.list);
	free_words(&words);
}

/* What is formatted without a rest reads as the same number. */
static void parse_size(struct fuzz_input *in)
{
	struct words words;
	uint64_t bytes;

	read_words(&words, "size", in);
	for (int i = 1; i < words.nr; i++) {
		struct size_text text;

		if (sizes_parse(words.list[i], &bytes) < 0)
			continue;
		text = sizes_format(bytes);
		FUZZ_CHECK(strnlen(text.text, sizeof(text)) < sizeof(text));
	}
	free_words(&words);
}

/* Not every file can be read. */
static void probe_folder(void)
{
	static int fd = -1;
	const char *format;

	if (fd < 0)
		fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(probe_format(fd, IMAGE_BYTES, &format) == -EISDIR);
}

static void probe_image(struct fuzz_input *in)
{
	static int fd = -1;
	const char *format = NULL;
	uint8_t image[IMAGE_BYTES] = { 0 };
	uint64_t size_bytes = fuzz_u16(in) % (IMAGE_BYTES + 1);
	size_t nr = MIN((size_t)(in->end - in->at), sizeof(image) / 2);
	int result;

	if (nr && *in->at & 2)
		probe_folder();
	if (fd < 0)
		fd = rh_memfd_create("image", sizeof(image));
	FUZZ_CHECK(fd >= 0);
	if (nr && *in->at & 1) /* at the end, in the last sector */
		memcpy(image + (size_bytes > 512 ? size_bytes - 512 : 0),
		       in->at + 1, MIN(nr - 1, (size_t)512));
	else if (nr)
		memcpy(image, in->at + 1, nr - 1);
	FUZZ_CHECK(!ftruncate(fd, (off_t)size_bytes));
	FUZZ_CHECK(pwrite(fd, image, size_bytes, 0) == (ssize_t)size_bytes);
	result = probe_format(fd, size_bytes, &format);
	FUZZ_CHECK(result == 0 || result == 1);
	FUZZ_CHECK(!result == !format);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };

	fuzz_keep_quiet();
	switch (fuzz_u8(&in) % 8) {
	case 0:
		parse_check(&in);
		break;
	case 1:
		parse_bench(&in);
		break;
	case 2:
		parse_size(&in);
		break;
	case 3:
		probe_image(&in);
		break;
	case 4:
		parse_command(&in);
		break;
	default:
		parse_server(&in);
	}
	return 0;
}
