/* SPDX-License-Identifier: MIT */
/*
 * replay - runs a fuzzer on files, without a fuzzer's engine
 *
 *   replay FILE-OR-FOLDER...
 *
 * One line of TAP for each file, in the order of their names.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned int nr_files;

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t bytes = 0;
	struct stat info;

	if (!file || fstat(fileno(file), &info) < 0) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	/* As large as the input, so that a read behind it is found. */
	data = malloc((size_t)info.st_size);
	if (info.st_size)
		bytes = fread(data, 1, (size_t)info.st_size, file);
	fclose(file);
	FUZZ_CHECK(bytes == (size_t)info.st_size);
	LLVMFuzzerTestOneInput(data, bytes);
	free(data);
	printf("ok %u - %s\n", ++nr_files, strrchr(path, '/') + 1);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	char name[4096];
	int nr = scandir(path, &entries, is_visible, alphasort);

	for (int i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		run_file(name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	struct stat info;

	/* A run that ends the process has to show which one it was. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (!stat(argv[i], &info) && S_ISDIR(info.st_mode))
			run_folder(argv[i]);
		else
			run_file(argv[i]);
	}
	if (!nr_files) {
		printf("Bail out! no files\n");
		return 1;
	}
	printf("1..%u\n", nr_files);
	return 0;
}
