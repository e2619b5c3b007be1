/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_e820.h - the memory map that the kernel is given, by either protocol.
 */
#ifndef BOOT_X86_E820_H
#define BOOT_X86_E820_H

#include "memory/guest_mem.h"

#include <stdint.h>

/* Types of the ACPI specification, 15.1. */
enum x86_e820_type {
	X86_E820_RAM	  = 1,
	X86_E820_RESERVED = 2,
	X86_E820_ACPI	  = 3,	/* RAM again once the tables are read */
};

struct x86_e820_entry {
	gpa_t at;
	uint64_t len;
	enum x86_e820_type type;
};

/* A region may touch three ranges of RAM; four more are fixed. */
#define X86_E820_MAX (3 * GUEST_MEM_REGIONS_MAX + 5)

struct x86_e820 {
	unsigned nr;
	struct x86_e820_entry entries[X86_E820_MAX];	/* ascending, disjoint */
};

void x86_e820_init(struct x86_e820 *map, struct guest_mem *mem);

#endif
