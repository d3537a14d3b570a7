/* SPDX-License-Identifier: MIT */
/*
 * operand - how many bytes of memory an instruction reaches for
 *
 * Prefixes, then one opcode byte, or two behind 0x0f (Intel's manual, volume
 * 2, appendix A).
 */
#include <stdbool.h>

#include "tests/race/operand.h"

struct prefixes {
	bool is_16_bit; /* 0x66 */
	bool is_64_bit; /* REX.W */
	uint8_t repeat; /* 0xf2, 0xf3 or 0 */
};

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
	       byte == 0x2e || byte == 0x3e || byte == 0x64 || byte == 0x65;
}

static const uint8_t *read_prefixes(const uint8_t *code, struct prefixes *ret)
{
	*ret = (struct prefixes){ 0 };
	for (; is_prefix(*code); code++) {
		if (*code == 0x66)
			ret->is_16_bit = true;
		if (*code == 0xf2 || *code == 0xf3)
			ret->repeat = *code;
	}
	if ((*code & 0xf0) == 0x40) {
		ret->is_64_bit = *code & 8;
		code++;
	}
	return code;
}

static unsigned int general_bytes(const struct prefixes *prefixes)
{
	if (prefixes->is_64_bit)
		return 8;
	return prefixes->is_16_bit ? 2 : 4;
}

static unsigned int one_byte_opcode(uint8_t opcode, unsigned int general)
{
	if (opcode < 0x40 && (opcode & 7) < 4)
		return opcode & 1 ? general : 1; /* add, or, ... cmp */
	switch (opcode) {
	case 0x63: /* movsxd */
		return 4;
	case 0x80: /* with an immediate */
	case 0x84: /* test */
	case 0x86: /* xchg */
	case 0x88: /* mov */
	case 0x8a:
	case 0xc0: /* shifts */
	case 0xc6: /* mov */
	case 0xf6: /* test, not */
	case 0xfe: /* inc, dec */
		return 1;
	case 0x69: /* imul */
	case 0x6b:
	case 0x81:
	case 0x83:
	case 0x85:
	case 0x87:
	case 0x89:
	case 0x8b:
	case 0xc1:
	case 0xc7:
	case 0xf7:
	case 0xff:
		return general;
	default:
		return 0;
	}
}

static unsigned int moved_vector(uint8_t opcode,
				 const struct prefixes *prefixes)
{
	unsigned int word = prefixes->is_64_bit ? 8 : 4;

	switch (opcode) {
	case 0x10: /* movups, movss, movsd */
	case 0x11:
		if (prefixes->repeat)
			return prefixes->repeat == 0xf2 ? 8 : 4;
		return 16;
	case 0x12: /* movlps, movhps */
	case 0x13:
	case 0x16:
	case 0x17:
	case 0xd6: /* movq */
		return 8;
	case 0x28: /* movaps */
	case 0x29:
	case 0x6c: /* punpck..qdq */
	case 0x6d:
	case 0x6f: /* movdqa, movdqu */
	case 0x7f:
	case 0xef: /* pxor */
		return 16;
	case 0x6e: /* movd, movq */
		return word;
	case 0x7e:
		return prefixes->repeat == 0xf3 ? 8 : word;
	case 0xc4: /* pinsrw */
		return 2;
	default:
		return 0;
	}
}

static unsigned int two_byte_opcode(uint8_t opcode,
				    const struct prefixes *prefixes)
{
	if ((opcode & 0xf0) == 0x40) /* cmov */
		return general_bytes(prefixes);
	if ((opcode & 0xf0) == 0x90) /* set */
		return 1;
	switch (opcode) {
	case 0xb0: /* cmpxchg */
	case 0xb6: /* movzx */
	case 0xbe: /* movsx */
	case 0xc0: /* xadd */
		return 1;
	case 0xb7:
	case 0xbf:
		return 2;
	case 0xaf: /* imul */
	case 0xb1:
	case 0xc1:
		return general_bytes(prefixes);
	default:
		return moved_vector(opcode, prefixes);
	}
}

unsigned int operand_bytes(const uint8_t *code)
{
	struct prefixes prefixes;

	code = read_prefixes(code, &prefixes);
	if (*code == 0x0f)
		return two_byte_opcode(code[1], &prefixes);
	return one_byte_opcode(*code, general_bytes(&prefixes));
}
