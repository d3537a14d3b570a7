/* SPDX-License-Identifier: MIT */
/*
 * operand - how many bytes of memory an instruction reaches for
 *
 * For x86-64, and for what compilers make of loads and stores without being
 * asked for a newer processor: general registers and SSE.
 */
#ifndef TESTS_RACE_OPERAND_H
#define TESTS_RACE_OPERAND_H

#include <stdint.h>

/* code: an instruction with one operand in memory. 0: it is not known. */
unsigned int operand_bytes(const uint8_t *code);

#endif
