/* SPDX-License-Identifier: MIT */
/* hostile-messages - messages that ask for what cannot be, in each state */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/attack.h"

#define PAGE	4096u
#define MIB	(UINT64_C(1) << 20)
#define ALL	UINT64_MAX
#define USER	(UINT64_C(1) << 46)
#define FAR	(UINT64_C(1) << 40) /* where no memory is */
#define HIGHEST (UINT64_C(1) << 63)

#define STATE(request, index, num)                                             \
	{                                                                      \
		request, 8,                                                    \
		{                                                              \
			.state = { index, num }                                \
		}                                                              \
	}
#define NUMBER(request, number)                                                \
	{                                                                      \
		request, 8,                                                    \
		{                                                              \
			.u64 = number                                          \
		}                                                              \
	}
#define ADDR(flags)                                                            \
	{                                                                      \
		FE_SET_VRING_ADDR, 40,                                         \
		{                                                              \
			.addr = { 0, flags, USER, USER, USER, 0 }              \
		}                                                              \
	}
#define REGION(guest, bytes, offset)                                           \
	{                                                                      \
		guest, bytes, USER, offset                                     \
	}
#define TABLE(number, size, ...)                                               \
	{                                                                      \
		FE_SET_MEM_TABLE, size,                                        \
		{                                                              \
			.table = { number, 0, __VA_ARGS__ }                    \
		}                                                              \
	}
#define SINGLE(request, ...)                                                   \
	{                                                                      \
		request, 40,                                                   \
		{                                                              \
			.single = { 0, __VA_ARGS__ }                           \
		}                                                              \
	}
#define INFLIGHT(request, bytes, offset, queues, entries)                      \
	{                                                                      \
		request, 20,                                                   \
		{                                                              \
			.inflight = { bytes, offset, queues, entries, { 0 } }  \
		}                                                              \
	}
#define CONFIG(request, payload, offset, bytes, flags)                         \
	{                                                                      \
		request, 12 + (payload),                                       \
		{                                                              \
			.config = { offset, bytes, flags, { 2 } }              \
		}                                                              \
	}
#define LOG_BASE(bytes, offset)                                                \
	{                                                                      \
		FE_SET_LOG_BASE, 16,                                           \
		{                                                              \
			.log = { bytes, offset }                               \
		}                                                              \
	}
#define MESSAGE(request, size)                                                 \
	{                                                                      \
		request, size,                                                 \
		{                                                              \
			.u64 = 0                                               \
		}                                                              \
	}

#define NO_FDS	   ATTACK_NO_FD, 0
#define MEMORY(nr) ATTACK_MEMORY_FD, nr
#define EVENT	   ATTACK_EVENT_FD, 1

/* A region of memory that is there, but not in this way */
#define BAD_REGION(what, ...)                                                  \
	{ what, SINGLE(FE_ADD_MEM_REG, __VA_ARGS__), MEMORY(1), ATTACK_NAK },  \
	{                                                                      \
		what, TABLE(1, 40, { __VA_ARGS__ }), MEMORY(1), ATTACK_NAK     \
	}

/* F-11, F-15, F-25, S-22, S-23, S-26, S-27 */
static void memory_that_cannot_be_is_refused(void **state)
{
	static const struct attack_case cases[] = {
		BAD_REGION("no size", REGION(FAR, 0, 0)),
		BAD_REGION("size 2^64 - 1", REGION(FAR, ALL, 0)),
		BAD_REGION("size 2^64 - 4095", REGION(FAR, ALL - 4094, 0)),
		BAD_REGION("offset 2^64 - 4096", REGION(FAR, PAGE, ALL - 4095)),
		BAD_REGION("126 GiB", REGION(FAR, 126 * 1024 * MIB, 0)),
		BAD_REGION("a page too much", REGION(FAR, 4 * MIB + PAGE, 0)),
		BAD_REGION("wraps", REGION(ALL - MIB + 1, 2 * MIB, 0)),
		{ "more than fds", TABLE(2, 72, { REGION(FAR, PAGE, 0) }),
		  MEMORY(1), ATTACK_NAK },
		{ "fewer than fds", TABLE(1, 40, { REGION(FAR, PAGE, 0) }),
		  MEMORY(2), ATTACK_NAK },
		{ "2^32 - 1", TABLE(0xffffffff, 40, { REGION(FAR, PAGE, 0) }),
		  MEMORY(1), ATTACK_NAK },
		{ "nine", TABLE(9, 264, { REGION(FAR, PAGE, 0) }), MEMORY(8),
		  ATTACK_NAK },
		{ "no fd", SINGLE(FE_ADD_MEM_REG, REGION(FAR, PAGE, 0)), NO_FDS,
		  ATTACK_NAK },
		{ "read-only", SINGLE(FE_ADD_MEM_REG, REGION(FAR, PAGE, 0)),
		  ATTACK_READ_ONLY_FD, 1, ATTACK_NAK },
		{ "a socket", SINGLE(FE_ADD_MEM_REG, REGION(FAR, PAGE, 0)),
		  ATTACK_SOCKET_FD, 1, ATTACK_NAK },
		{ "a directory", SINGLE(FE_ADD_MEM_REG, REGION(FAR, PAGE, 0)),
		  ATTACK_DIR_FD, 1, ATTACK_NAK },
		{ "an unknown one", SINGLE(FE_REM_MEM_REG, REGION(FAR, 1, 0)),
		  NO_FDS, ATTACK_NAK },
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

/* What a session under I/O is refused only because its ring runs */
#define RUNNING                                                                \
	{                                                                      \
		PROBE_OK, PROBE_OK, PROBE_NAK                                  \
	}

/* F-04, F-15, S-31 */
static void queues_that_are_not_there_are_refused(void **state)
{
#define AT(index)                                                              \
	{ "size", STATE(FE_SET_VRING_NUM, index, 64), NO_FDS, ATTACK_NAK },    \
		{ "base", STATE(FE_SET_VRING_BASE, index, 0), NO_FDS,          \
		  ATTACK_NAK },                                                \
		{ "stop", STATE(FE_GET_VRING_BASE, index, 0), NO_FDS,          \
		  ATTACK_NAK },                                                \
	{                                                                      \
		"enable", STATE(FE_SET_VRING_ENABLE, index, 1), NO_FDS,        \
			ATTACK_NAK                                             \
	}
#define AT_FD(number)                                                          \
	{ "kick", NUMBER(FE_SET_VRING_KICK, number), EVENT, ATTACK_NAK },      \
		{ "call", NUMBER(FE_SET_VRING_CALL, number), EVENT,            \
		  ATTACK_NAK },                                                \
	{                                                                      \
		"error", NUMBER(FE_SET_VRING_ERR, number), EVENT, ATTACK_NAK   \
	}
	static const struct attack_case cases[] = {
		AT(256),	AT(0x10000),	   AT(0x80000000),
		AT(0xffffffff), AT_FD(0x80),	   AT_FD(0x200),
		AT_FD(0x10000), AT_FD(0x80000000), AT_FD(ALL & ~0x100),
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

/* F-15, F-18, S-17, S-32, S-33, S-35, S-38 */
static void rings_that_cannot_be_are_refused(void **state)
{
	static const struct attack_case cases[] = {
		{ "0", STATE(FE_SET_VRING_NUM, 0, 0), NO_FDS, ATTACK_NAK },
		{ "3", STATE(FE_SET_VRING_NUM, 0, 3), NO_FDS, ATTACK_NAK },
		{ "32769", STATE(FE_SET_VRING_NUM, 0, 32769), NO_FDS,
		  ATTACK_NAK },
		{ "65536", STATE(FE_SET_VRING_NUM, 0, 65536), NO_FDS,
		  ATTACK_NAK },
		{ "2^32 - 1", STATE(FE_SET_VRING_NUM, 0, 0xffffffff), NO_FDS,
		  ATTACK_NAK },
		{ "of a running one", STATE(FE_SET_VRING_NUM, 0, 128), NO_FDS,
		  RUNNING },
		{ "of a running one", STATE(FE_SET_VRING_BASE, 0, 77), NO_FDS,
		  RUNNING },
		{ "of a running one", ADDR(0), NO_FDS, RUNNING },
		{ "65536", STATE(FE_SET_VRING_BASE, 0, 65536), NO_FDS,
		  ATTACK_NAK },
		{ "an unknown flag", ADDR(2), NO_FDS, ATTACK_NAK },
		{ "another unknown flag", ADDR(0x80000000), NO_FDS,
		  ATTACK_NAK },
		{ "2", STATE(FE_SET_VRING_ENABLE, 0, 2), NO_FDS, ATTACK_NAK },
		{ "2^32 - 1", STATE(FE_SET_VRING_ENABLE, 0, 0xffffffff), NO_FDS,
		  ATTACK_NAK },
		{ "no fd", NUMBER(FE_SET_VRING_KICK, 0), NO_FDS, ATTACK_NAK },
		{ "no fd", NUMBER(FE_SET_VRING_CALL, 0), NO_FDS, ATTACK_NAK },
		{ "no fd", NUMBER(FE_SET_VRING_ERR, 0), NO_FDS, ATTACK_NAK },
		{ "none, and one", NUMBER(FE_SET_VRING_KICK, 0x100), EVENT,
		  ATTACK_NAK },
		{ "none, and one", NUMBER(FE_SET_VRING_CALL, 0x100), EVENT,
		  ATTACK_NAK },
		{ "none, and one", NUMBER(FE_SET_VRING_ERR, 0x100), EVENT,
		  ATTACK_NAK },
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

#define AS_EVENT(what, fd)                                                     \
	{ what, NUMBER(FE_SET_VRING_KICK, 0), fd, 1, ATTACK_NAK },             \
		{ what, NUMBER(FE_SET_VRING_CALL, 0), fd, 1, ATTACK_NAK },     \
		{ what, NUMBER(FE_SET_VRING_ERR, 0), fd, 1, ATTACK_NAK },      \
	{                                                                      \
		what, MESSAGE(FE_SET_LOG_FD, 0), fd, 1, ATTACK_NAK             \
	}

/* F-15, S-14, S-16, S-18, S-46 */
static void fds_that_do_not_fit_are_refused(void **state)
{
	static const struct attack_case cases[] = {
		AS_EVENT("a file", ATTACK_FILE_FD),
		AS_EVENT("a directory", ATTACK_DIR_FD),
		AS_EVENT("a memfd", ATTACK_MEMORY_FD),
		AS_EVENT("a socket", ATTACK_SOCKET_FD),
		{ "two", NUMBER(FE_SET_VRING_KICK, 0), ATTACK_EVENT_FD, 2,
		  ATTACK_NAK },
		{ "one", NUMBER(FE_SET_FEATURES, 0), EVENT, ATTACK_NAK },
		{ "eight", STATE(FE_SET_VRING_NUM, 0, 64), MEMORY(8),
		  ATTACK_NAK },
		{ "no fd", MESSAGE(FE_SET_LOG_FD, 0), NO_FDS, ATTACK_NAK },
		{ "no fd", MESSAGE(FE_SET_BACKEND_REQ_FD, 0), NO_FDS,
		  ATTACK_NAK },
		{ "no fd", LOG_BASE(PAGE, 0), NO_FDS, ATTACK_NAK },
		{ "no fd", INFLIGHT(FE_SET_INFLIGHT_FD, 65536, 0, 1, 64),
		  NO_FDS, ATTACK_NAK },
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

#define BAD_RECORD(what, bytes, offset)                                        \
	{                                                                      \
		what, INFLIGHT(FE_SET_INFLIGHT_FD, bytes, offset, 1, 64),      \
			MEMORY(1), ATTACK_NAK                                  \
	}
#define BAD_QUEUES(queues, entries)                                            \
	{ #queues " of " #entries,                                             \
	  INFLIGHT(FE_SET_INFLIGHT_FD, 65536, 0, queues, entries), MEMORY(1),  \
	  ATTACK_NAK },                                                        \
	{                                                                      \
#queues " of " #entries,                                       \
			INFLIGHT(FE_GET_INFLIGHT_FD, 0, 0, queues, entries),   \
			NO_FDS, ATTACK_NAK                                     \
	}
#define BAD_LOG(what, bytes, offset)                                           \
	{                                                                      \
		what, LOG_BASE(bytes, offset), MEMORY(1), ATTACK_NAK           \
	}

/* F-03, F-06, F-09, F-15, S-43, S-45 */
static void records_and_logs_that_cannot_be_are_refused(void **state)
{
	static const struct attack_case cases[] = {
		BAD_QUEUES(0, 64),
		BAD_QUEUES(257, 64),
		BAD_QUEUES(65535, 64),
		BAD_QUEUES(1, 0),
		BAD_QUEUES(1, 3),
		BAD_QUEUES(1, 65535),
		BAD_RECORD("no bytes", 0, 0),
		BAD_RECORD("one byte", 1, 0),
		BAD_RECORD("2^64 - 1 bytes", ALL, 0),
		BAD_RECORD("more than its file", 4 * MIB + 1, 0),
		BAD_RECORD("behind its file", 65536, 4 * MIB),
		BAD_RECORD("wraps", 8192, ALL - 4095),
		BAD_LOG("no bytes", 0, 0),
		BAD_LOG("wraps", ALL - 4095, 8192),
		BAD_LOG("2^63 twice", HIGHEST, HIGHEST),
		BAD_LOG("more than its file", 4 * MIB + 1, 0),
		BAD_LOG("begins inside a page", 2 * MIB, 1),
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

/* F-15, F-23, S-41, S-42 */
static void configurations_that_cannot_be_are_refused(void **state)
{
	static const struct attack_case cases[] = {
		{ "beyond its end", CONFIG(FE_GET_CONFIG, 8, 255, 8, 0), NO_FDS,
		  ATTACK_NAK },
		{ "across its end", CONFIG(FE_GET_CONFIG, 256, 8, 256, 0),
		  NO_FDS, ATTACK_NAK },
		{ "nothing", CONFIG(FE_GET_CONFIG, 0, 0, 0, 0), NO_FDS,
		  ATTACK_NAK },
		{ "257 bytes", CONFIG(FE_GET_CONFIG, 256, 0, 257, 0), NO_FDS,
		  ATTACK_NAK },
		{ "2^31 bytes", CONFIG(FE_GET_CONFIG, 8, 0, 1u << 31, 0),
		  NO_FDS, ATTACK_NAK },
		{ "at 2^32 - 1", CONFIG(FE_GET_CONFIG, 8, ~0u, 8, 0), NO_FDS,
		  ATTACK_NAK },
		{ "more than came", CONFIG(FE_GET_CONFIG, 4, 0, 8, 0), NO_FDS,
		  ATTACK_NAK },
		{ "capacity", CONFIG(FE_SET_CONFIG, 8, 0, 8, 0), NO_FDS,
		  ATTACK_NAK },
		{ "wce of 2", CONFIG(FE_SET_CONFIG, 1, 32, 1, 0), NO_FDS,
		  ATTACK_NAK },
		{ "unknown flags", CONFIG(FE_SET_CONFIG, 1, 32, 1, 7), NO_FDS,
		  ATTACK_NAK },
		{ "more than came", CONFIG(FE_SET_CONFIG, 1, 32, 9, 0), NO_FDS,
		  ATTACK_NAK },
		{ "nothing", CONFIG(FE_SET_CONFIG, 0, 32, 0, 0), NO_FDS,
		  ATTACK_NAK },
		{ "at 2^32 - 1", CONFIG(FE_SET_CONFIG, 1, ~0u, 1, 0), NO_FDS,
		  ATTACK_NAK },
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

/* F-15, S-07, S-09, S-10, S-11, S-45, S-47 */
static void what_was_not_negotiated_is_refused(void **state)
{
	static const struct attack_case cases[] = {
		{ "bits of none", NUMBER(FE_SET_FEATURES, ALL), NO_FDS,
		  ATTACK_NAK },
		{ "bits of none", NUMBER(FE_SET_PROTOCOL_FEATURES, ALL), NO_FDS,
		  ATTACK_NAK },
		{ "others", NUMBER(FE_SET_FEATURES, FE_FEATURE_VERSION_1),
		  NO_FDS, RUNNING },
		{ "to log, without a log",
		  NUMBER(FE_SET_FEATURES,
			 FE_FEATURE_VERSION_1 | FE_FEATURE_LOG_ALL),
		  NO_FDS, RUNNING },
		{ "not negotiated", MESSAGE(FE_IOTLB_MSG, 32), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_POSTCOPY_ADVISE, 0), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_POSTCOPY_LISTEN, 0), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_POSTCOPY_END, 0), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_VRING_KICK, 8), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_GET_SHARED_OBJECT, 16), NO_FDS,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_SET_DEVICE_STATE_FD, 8), EVENT,
		  ATTACK_NAK },
		{ "not negotiated", MESSAGE(FE_CHECK_DEVICE_STATE, 0), NO_FDS,
		  ATTACK_NAK },
		{ "more than 8 bits", NUMBER(FE_SET_STATUS, 256), NO_FDS,
		  ATTACK_NAK },
		{ "of a network", MESSAGE(FE_SEND_RARP, 8), NO_FDS,
		  ATTACK_NAK },
		{ "of a network", MESSAGE(FE_NET_SET_MTU, 8), NO_FDS,
		  ATTACK_NAK },
		{ "of crypto", MESSAGE(FE_CREATE_CRYPTO_SESSION, 64), NO_FDS,
		  ATTACK_NAK },
		{ "of a GPU", MESSAGE(FE_GPU_SET_SOCKET, 0), ATTACK_SOCKET_FD,
		  1, ATTACK_NAK },
		{ "of old", MESSAGE(FE_SET_VRING_ENDIAN, 8), NO_FDS,
		  ATTACK_NAK },
		{ "none", MESSAGE(0, 0), NO_FDS, ATTACK_NAK },
	};

	attack_all(*state, cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(memory_that_cannot_be_is_refused),
		HOSTILE(queues_that_are_not_there_are_refused),
		HOSTILE(rings_that_cannot_be_are_refused),
		HOSTILE(fds_that_do_not_fit_are_refused),
		HOSTILE(records_and_logs_that_cannot_be_are_refused),
		HOSTILE(configurations_that_cannot_be_are_refused),
		HOSTILE(what_was_not_negotiated_is_refused),
	};

	return hostile_run("hostile-messages", tests, ARRAY_SIZE(tests));
}
