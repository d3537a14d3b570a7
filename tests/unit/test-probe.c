/* SPDX-License-Identifier: MIT */
/* probe - other formats are noticed, raw disks are not mistaken for one */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/drivers/probe.h"
#include "tests/unit/disk.h"

#define IMAGE_BYTES 65536

static char image[64];

static int make_image(void **state)
{
	(void)state;
	disk_make_image(image, IMAGE_BYTES);
	return 0;
}

static int remove_image(void **state)
{
	(void)state;
	unlink(image);
	return 0;
}

/* NULL if it looks raw */
static const char *probe(void)
{
	cleanup_close int fd = open(image, O_RDONLY | O_CLOEXEC);
	const char *format = NULL;
	struct stat status;
	int found;

	assert_int_equal(fstat(fd, &status), 0);
	found = probe_format(fd, (uint64_t)status.st_size, &format);
	assert_in_range(found, 0, 1);
	return found ? format : NULL;
}

static void put(const char *bytes, size_t nr_bytes, off_t offset)
{
	cleanup_close int fd = open(image, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, bytes, nr_bytes, offset), nr_bytes);
}

static void every_magic_number_is_known(void **state)
{
	static const struct {
		const char *format;
		const char *bytes;
		size_t nr_bytes;
		off_t offset;
	} cases[] = {
		{ "qcow", "QFI\xfb\0\0\0\1", 8, 0 },
		{ "qcow2", "QFI\xfb\0\0\0\2", 8, 0 },
		{ "qcow2", "QFI\xfb\0\0\0\3", 8, 0 },
		{ "vmdk", "KDMV", 4, 0 },
		{ "vmdk", "COWD", 4, 0 },
		{ "vmdk", "# Disk DescriptorFile", 21, 0 },
		{ "vdi", "\x7f\x10\xda\xbe", 4, 64 },
		{ "vhdx", "vhdxfile", 8, 0 },
		{ "vpc", "conectix", 8, 0 },
		{ "vpc", "conectix", 8, IMAGE_BYTES - 512 },
		{ "qed", "QED\0", 4, 0 },
		{ "luks", "LUKS\xba\xbe", 6, 0 },
		{ "parallels", "WithoutFreeSpace", 16, 0 },
		{ "parallels", "WithouFreSpacExt", 16, 0 },
		{ "dmg", "koly", 4, IMAGE_BYTES - 512 },
		{ "bochs", "Bochs Virtual HD Image", 22, 0 },
		{ "cloop", "#!/bin/sh\n#V2.0 Format", 22, 0 },
	};
	static const char nothing[32];

	(void)state;
	assert_null(probe());
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(cases[i].bytes, cases[i].nr_bytes, cases[i].offset);
		assert_string_equal(probe(), cases[i].format);
		put(nothing, cases[i].nr_bytes, cases[i].offset);
		assert_null(probe());
	}
}

static void a_magic_number_elsewhere_is_data(void **state)
{
	(void)state;
	put("QFI\xfb\0\0\0\2", 8, 512);
	put("LUKS\xba\xbe", 6, 1);
	put("conectix", 8, IMAGE_BYTES - 511);
	assert_null(probe());
}

static void a_partition_table_is_raw(void **state)
{
	(void)state;
	put("\xeb\x63\x90\x8e\xc0", 5, 0);
	put("\x55\xaa", 2, 510);
	put("EFI PART", 8, 512);
	assert_null(probe());
}

static void images_of_a_few_bytes_are_raw(void **state)
{
	static const off_t sizes[] = { 0, 1, 3, 511, 512, 513, 1023 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(truncate(image, sizes[i]), 0);
		assert_null(probe());
	}
}

/* What QEMU makes is the measure. */
static void what_qemu_img_creates_is_recognised(void **state)
{
	static const struct {
		const char *format;
		const char *options;
	} cases[] = {
		{ "qcow", "-f qcow" },
		{ "qcow2", "-f qcow2" },
		{ "qcow2", "-f qcow2 -o compat=0.10" },
		{ "qed", "-f qed" },
		{ "vdi", "-f vdi" },
		{ "vhdx", "-f vhdx" },
		{ "vmdk", "-f vmdk" },
		{ "vpc", "-f vpc" },
		{ "vpc", "-f vpc -o subformat=fixed" },
		{ "parallels", "-f parallels" },
		{ "luks", "--object secret,id=s,data=x -f luks -o "
			  "key-secret=s,iter-time=10" },
	};
	unsigned int nr_made = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char command[256];

		snprintf(command, sizeof(command),
			 "qemu-img create %s %s 8M >/dev/null 2>&1",
			 cases[i].options, image);
		if (system(command))
			continue;
		nr_made++;
		assert_string_equal(probe(), cases[i].format);
	}
	if (!nr_made)
		skip();
}

#define PROBE_TEST(function)                                                   \
	cmocka_unit_test_setup_teardown(function, make_image, remove_image)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROBE_TEST(every_magic_number_is_known),
		PROBE_TEST(a_magic_number_elsewhere_is_data),
		PROBE_TEST(a_partition_table_is_raw),
		PROBE_TEST(images_of_a_few_bytes_are_raw),
		PROBE_TEST(what_qemu_img_creates_is_recognised),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
