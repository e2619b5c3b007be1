// SPDX-License-Identifier: Apache-2.0
/* kernel_arm64.c - fuzz_kernel.h for arm64. */
#include "fuzz_kernel.h"

#include "boot/arm64_boot.h"
#include "boot/arm64_layout.h"

#include <libfdt.h>
#include <string.h>

#define FIRST_LEN	(64 * MiB)

/* Machines have one part; what lies beyond it is nobody's. */
const struct fuzz_kernel_part fuzz_kernel_ram[FUZZ_KERNEL_PARTS] = {
	{ ARM64_RAM_AT, FIRST_LEN },
	{ ARM64_RAM_AT + 2 * FIRST_LEN, 2 * MiB },
};

static const struct arm64_boot gicv3 = { .gic = ARM64_BOOT_GICV3 };
const struct arm64_boot *const fuzz_kernel_arm64 = &gicv3;

bool fuzz_kernel_is_loaded(const struct boot_entry *entry, const uint8_t *first)
{
	static const uint8_t zeroes[ARM64_STOLEN_LEN];

	return entry->mode == BOOT_ARM64 && entry->ip >= ARM64_KERNEL_AT &&
	       entry->ip < ARM64_RAM_AT + FIRST_LEN && entry->arg == ARM64_FDT_AT &&
	       !fdt_check_header(first + (ARM64_FDT_AT - ARM64_RAM_AT)) &&
	       !memcmp(first + (ARM64_STOLEN_AT - ARM64_RAM_AT), zeroes, sizeof(zeroes));
}
