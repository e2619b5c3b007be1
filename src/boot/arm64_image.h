/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_image.h - the kernel of an arm64 guest, in each wrapping that it comes in:
 * Image, Image.gz, and the EFI zboot image of newer kernels.
 */
#ifndef BOOT_ARM64_IMAGE_H
#define BOOT_ARM64_IMAGE_H

#include "boot/boot_file.h"
#include "memory/guest_mem.h"

#include <stdint.h>

struct err;

struct arm64_image {
	gpa_t entry;
	gpa_t end;			/* after the last byte it occupies */
};

/* To ARM64_KERNEL_AT, checked for all that the kernel occupies at first. */
int arm64_image_load(const struct boot_file *file, struct guest_mem *mem, gpa_t ram_end,
		     struct arm64_image *ret_image, struct err *err);

#endif
