// SPDX-License-Identifier: Apache-2.0
/* kernel_x86.c - fuzz_kernel.h for x86. */
#include "fuzz_kernel.h"

#include "boot/x86_layout.h"

#include <string.h>

#define LOW_LEN	(64 * MiB)

const struct fuzz_kernel_part fuzz_kernel_ram[FUZZ_KERNEL_PARTS] = {
	{ 0, LOW_LEN },
	{ X86_HIGH_RAM_AT, 2 * MiB },
};

const struct arm64_boot *const fuzz_kernel_arm64 = NULL;

bool fuzz_kernel_is_loaded(const struct boot_entry *entry, const uint8_t *first)
{
	static const uint8_t zeroes[X86_EBDA_LEN];

	return (entry->mode == BOOT_LINUX64 || entry->mode == BOOT_PVH) &&
	       entry->ip >= X86_KERNEL_AT && entry->ip < LOW_LEN &&
	       !memcmp(first + X86_EBDA_AT, zeroes, sizeof(zeroes));
}
