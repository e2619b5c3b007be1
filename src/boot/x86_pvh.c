// SPDX-License-Identifier: Apache-2.0
/*
 * x86_pvh.c - what a kernel started by its PVH entry is told: struct
 * hvm_start_info, version 1 (xen/include/public/arch-x86/hvm/start_info.h).
 *
 * It takes the page that is the zero page in the other protocol, followed by
 * the list of modules, of which the initrd is the only one, and the map.
 */
#include "boot/x86_kernel.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "boot/x86_layout.h"

#define START_INFO_MAGIC	0x336ec578
#define START_INFO_VERSION	1

#define INFO_AT		0
#define MODULE_AT	0x40
#define MAP_AT		0x80
#define MAP_ENTRY_LEN	24
#define TOTAL_LEN	(MAP_AT + X86_E820_MAX * MAP_ENTRY_LEN)

_Static_assert(TOTAL_LEN <= 4096, "the start info leaves its page");

int x86_kernel_write_start_info(struct guest_mem *mem, const struct initrd *initrd,
				const struct x86_e820 *map)
{
	uint8_t page[TOTAL_LEN] = { 0 };
	uint8_t *info = page + INFO_AT;
	uint8_t *module = page + MODULE_AT;
	uint8_t *entry = page + MAP_AT;

	put_le32(info, START_INFO_MAGIC);
	put_le32(info + 4, START_INFO_VERSION);
	if (initrd->len) {
		put_le32(info + 12, 1);
		put_le64(info + 16, X86_ZERO_PAGE_AT + MODULE_AT);
		put_le64(module, initrd->at);
		put_le64(module + 8, initrd->len);
	}
	put_le64(info + 24, X86_CMDLINE_AT);
	put_le64(info + 32, X86_ACPI_AT);
	put_le64(info + 40, X86_ZERO_PAGE_AT + MAP_AT);
	put_le32(info + 48, map->nr);
	for (unsigned i = 0; i < map->nr; i++, entry += MAP_ENTRY_LEN) {
		put_le64(entry, map->entries[i].at);
		put_le64(entry + 8, map->entries[i].len);
		put_le32(entry + 16, map->entries[i].type);
	}
	return guest_mem_write(mem, X86_ZERO_PAGE_AT, page, sizeof(page));
}
