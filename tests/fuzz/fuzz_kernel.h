/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kernel.h - what fuzz_kernel.c has to know of an architecture; kernel_ARCH.c has it.
 */
#ifndef TESTS_FUZZ_FUZZ_KERNEL_H
#define TESTS_FUZZ_FUZZ_KERNEL_H

#include "base/bits.h"
#include "boot/boot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_KERNEL_PARTS	2

/* RAM, as a guest of the architecture has it. */
struct fuzz_kernel_part {
	gpa_t at;
	size_t len;
};

extern const struct fuzz_kernel_part fuzz_kernel_ram[FUZZ_KERNEL_PARTS];

/* Of struct boot_config. */
extern const struct arm64_boot *const fuzz_kernel_arm64;

/* Whether this can come of a kernel that was taken; first: the first part of RAM. */
bool fuzz_kernel_is_loaded(const struct boot_entry *entry, const uint8_t *first);

#endif
