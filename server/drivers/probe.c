/* SPDX-License-Identifier: MIT */
/*
 * probe - does an image look like something else than a raw disk?
 *
 * Each format is known by a few bytes, in the first sector or in the last.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "server/drivers/probe.h"

#define SECTOR_BYTES 512

struct magic {
	const char *format;
	uint16_t offset_bytes;
	uint16_t bytes;
	const char *value;
};

#define MAGIC(format, offset, value)                                           \
	{                                                                      \
		format, offset, sizeof(value) - 1, value                       \
	}

static const struct magic first_sector[] = {
	MAGIC("qcow", 0, "QFI\xfb\0\0\0\1"),
	MAGIC("qcow2", 0, "QFI\xfb"),
	MAGIC("vmdk", 0, "KDMV"),
	MAGIC("vmdk", 0, "COWD"),
	MAGIC("vmdk", 0, "# Disk DescriptorFile"),
	MAGIC("vdi", 64, "\x7f\x10\xda\xbe"),
	MAGIC("vhdx", 0, "vhdxfile"),
	MAGIC("vpc", 0, "conectix"),
	MAGIC("qed", 0, "QED\0"),
	MAGIC("luks", 0, "LUKS\xba\xbe"),
	MAGIC("parallels", 0, "WithoutFreeSpace"),
	MAGIC("parallels", 0, "WithouFreSpacExt"),
	MAGIC("bochs", 0, "Bochs Virtual HD Image"),
	MAGIC("cloop", 0, "#!/bin/sh\n#V2.0 Format"),
};

static const struct magic last_sector[] = {
	MAGIC("vpc", 0, "conectix"),
	MAGIC("dmg", 0, "koly"),
};

/* Returns the bytes read, which are fewer at the end only, or -errno. */
static ssize_t read_at(int fd, uint8_t *data, size_t bytes, uint64_t offset)
{
	size_t nr_read = 0;

	while (nr_read < bytes) {
		ssize_t done = pread(fd, data + nr_read, bytes - nr_read,
				     (off_t)(offset + nr_read));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (!done)
			break;
		nr_read += (size_t)done;
	}
	return (ssize_t)nr_read;
}

static const char *find(const struct magic *magics, size_t nr_magics,
			const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < nr_magics; i++) {
		const struct magic *magic = &magics[i];

		if ((size_t)magic->offset_bytes + magic->bytes <= bytes &&
		    !memcmp(data + magic->offset_bytes, magic->value,
			    magic->bytes))
			return magic->format;
	}
	return NULL;
}

int probe_format(int fd, uint64_t size_bytes, const char **ret)
{
	uint8_t sector[SECTOR_BYTES];
	const char *format;
	ssize_t nr_read;

	nr_read = read_at(fd, sector, sizeof(sector), 0);
	if (nr_read < 0)
		return (int)nr_read;
	format = find(first_sector, ARRAY_SIZE(first_sector), sector,
		      (size_t)nr_read);
	if (!format && size_bytes > SECTOR_BYTES) {
		nr_read = read_at(fd, sector, sizeof(sector),
				  size_bytes - SECTOR_BYTES);
		if (nr_read < 0)
			return (int)nr_read;
		format = find(last_sector, ARRAY_SIZE(last_sector), sector,
			      (size_t)nr_read);
	}
	if (!format)
		return 0;
	*ret = format;
	return 1;
}
