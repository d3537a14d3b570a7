/* SPDX-License-Identifier: MIT */
/*
 * fuzz - what all fuzzers have in common: their entry, their input, their word
 *
 * Each program here is one function that takes bytes, any bytes, and makes a
 * peer's behaviour of them. libFuzzer and AFL++ find the bytes; replay.c runs
 * those that are kept in corpus/. A run depends on nothing but its bytes.
 *
 * An input that has ended reads as zeros, so that each prefix is an input.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fuzzer. Returns 0; what it finds ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *at;
	const uint8_t *end;
};

/* The product, or this fuzzer, is wrong: tell where and abort. */
#define FUZZ_CHECK(condition)                                                  \
	do {                                                                   \
		if (!(condition))                                              \
			fuzz_fail(#condition, __FILE__, __LINE__);             \
	} while (0)

_Noreturn void fuzz_fail(const char *what, const char *file, int line);

/* Once a program: lines of the log are made, and thrown away. */
void fuzz_keep_quiet(void);

/*
 * Files that are open at the end of a run were open at its beginning. Between
 * runs the engine opens what it likes, and a thread of it may at any time, for
 * a moment.
 */
void fuzz_note_fds(void);
void fuzz_check_fds(void);

static inline bool fuzz_more(const struct fuzz_input *in)
{
	return in->at < in->end;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t low = fuzz_u8(in);

	return low | (uint16_t)(fuzz_u8(in) << 8);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t low = fuzz_u16(in);

	return low | (uint32_t)fuzz_u16(in) << 16;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t low = fuzz_u32(in);

	return low | (uint64_t)fuzz_u32(in) << 32;
}

static inline void fuzz_bytes(struct fuzz_input *in, void *to, size_t bytes)
{
	uint8_t *at = to;

	for (size_t i = 0; i < bytes; i++)
		at[i] = fuzz_u8(in);
}

#endif
