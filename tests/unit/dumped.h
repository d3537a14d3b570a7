/* SPDX-License-Identifier: MIT */
/* dumped - what a core file of this process would contain, for cmocka's tests */
#ifndef TESTS_UNIT_DUMPED_H
#define TESTS_UNIT_DUMPED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* True unless the mapping that address is in has the kernel's flag "dd". */
static inline bool is_dumped(const void *address)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	bool inside = false;
	bool dumped = true;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long start;
		unsigned long end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)address >= start &&
				 (uintptr_t)address < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			dumped = !strstr(line, " dd");
	}
	if (file)
		fclose(file);
	return dumped;
}

#endif
