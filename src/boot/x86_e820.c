// SPDX-License-Identifier: Apache-2.0
#include "boot/x86_e820.h"

#include "base/bits.h"
#include "boot/x86_layout.h"

static void add(struct x86_e820 *map, gpa_t at, uint64_t len, enum x86_e820_type type)
{
	map->entries[map->nr++] =
		(struct x86_e820_entry){ .at = at, .len = len, .type = type };
}

/* The RAM that there is between from and to. */
static void add_ram(struct x86_e820 *map, struct guest_mem *mem, gpa_t from, gpa_t to)
{
	const struct guest_mem_region *regions;
	int nr = guest_mem_regions(mem, &regions);

	for (int i = 0; i < nr; i++) {
		gpa_t at = max_u64(regions[i].at, from);
		gpa_t end = min_u64(regions[i].at + regions[i].len, to);

		if (at < end)
			add(map, at, end - at, X86_E820_RAM);
	}
}

void x86_e820_init(struct x86_e820 *map, struct guest_mem *mem)
{
	map->nr = 0;
	add_ram(map, mem, 0, X86_EBDA_AT);
	add(map, X86_EBDA_AT, X86_EBDA_LEN, X86_E820_RESERVED);
	add(map, X86_ACPI_AT, X86_ACPI_LEN, X86_E820_ACPI);
	add(map, X86_GENERATION_AT, X86_GENERATION_LEN, X86_E820_RESERVED);
	add_ram(map, mem, X86_KERNEL_AT, X86_LOW_RAM_END);
	/* Linux uses ECAM only where it is told that nothing else lies there. */
	add(map, X86_ECAM_AT, X86_ECAM_LEN, X86_E820_RESERVED);
	add(map, X86_KVM_IDENTITY_AT, X86_KVM_LEN, X86_E820_RESERVED);
	add_ram(map, mem, X86_HIGH_RAM_AT, UINT64_MAX);
}
