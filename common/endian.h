/* SPDX-License-Identifier: MIT */
/*
 * endian - little-endian numbers as types of their own
 *
 * What the guest and the wire hold is little-endian (virtio 1.3, 1.4). A
 * field of such a type cannot be used as a number by mistake, since it is a
 * structure: a forgotten conversion does not compile.
 */
#ifndef COMMON_ENDIAN_H
#define COMMON_ENDIAN_H

#include <endian.h>
#include <stdint.h>

struct le16 {
	uint16_t raw;
} __attribute__((packed, aligned(2)));

struct le32 {
	uint32_t raw;
} __attribute__((packed, aligned(4)));

struct le64 {
	uint64_t raw;
} __attribute__((packed, aligned(8)));

static inline uint16_t le16_get(struct le16 value)
{
	return le16toh(value.raw);
}

static inline uint32_t le32_get(struct le32 value)
{
	return le32toh(value.raw);
}

static inline uint64_t le64_get(struct le64 value)
{
	return le64toh(value.raw);
}

static inline struct le16 le16_make(uint16_t value)
{
	return (struct le16){ htole16(value) };
}

static inline struct le32 le32_make(uint32_t value)
{
	return (struct le32){ htole32(value) };
}

static inline struct le64 le64_make(uint64_t value)
{
	return (struct le64){ htole64(value) };
}

#endif
