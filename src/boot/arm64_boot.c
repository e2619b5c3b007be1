// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_boot.c - the order in which an arm64 guest's RAM is filled.
 *
 * The first 2 MiB hold what the monitor writes (arm64_layout.h).  Then comes the kernel,
 * and the initrd as high as it may be, so that the two meet only when there is no room
 * left.
 */
#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_fdt.h"
#include "boot/arm64_image.h"
#include "boot/arm64_layout.h"
#include "boot/boot.h"
#include "boot/boot_file.h"
#include "boot/initrd.h"
#include "boot/kernel_format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CMDLINE_MAX	2047		/* COMMAND_LINE_SIZE of Linux, less the final zero */

/* Kernel and initrd lie in a window of 32 GiB that begins at a multiple of 1 GiB. */
#define WINDOW_END	(ARM64_RAM_AT + 32 * GiB)

const char *const kernel_format_foreign[KERNEL_FORMAT_NR] = {
	[KERNEL_FORMAT_UNKNOWN]	   = "not an arm64 Image, packed or not",
	[KERNEL_FORMAT_BZIMAGE]	   = "is an x86 bzImage: this machine needs an arm64 kernel",
	[KERNEL_FORMAT_ELF]	   = "is an ELF file: an arm64 kernel is started as an Image",
	[KERNEL_FORMAT_ELF_X86_64] = "is an x86_64 kernel: this machine needs an arm64 kernel",
	[KERNEL_FORMAT_ELF_ARM64]  = ("is a vmlinux: an arm64 kernel is started as an Image "
				      "(arch/arm64/boot/Image, or vmlinuz of a distribution)"),
};

/* RAM is all in one piece. */
static uint64_t find_ram_end(struct guest_mem *mem)
{
	const struct guest_mem_region *regions;

	if (guest_mem_regions(mem, &regions) < 1 || regions[0].at != ARM64_RAM_AT)
		return ARM64_RAM_AT;
	return regions[0].at + regions[0].len;
}

static int load_kernel(const char *path, struct guest_mem *mem, uint64_t ram_end,
		       struct arm64_image *ret_image, struct err *err)
{
	struct boot_file file;
	int r = boot_file_open(&file, "kernel", path, err);

	if (r < 0)
		return r;
	r = arm64_image_load(&file, mem, ram_end, ret_image, err);
	boot_file_close(&file);
	return r;
}

static int load_initrd(const char *path, struct guest_mem *mem, uint64_t ram_end,
		       const struct arm64_image *image, struct initrd *ret_initrd,
		       struct err *err)
{
	struct initrd_room room = {
		.from = image->end,
		.to = ram_end,
		.why_to = "where memory ends: give the VM more memory (--memory)",
	};

	if (WINDOW_END < ram_end) {
		room.to = WINDOW_END;
		room.why_to = "the limit that kernels set";
	}
	return initrd_load(mem, path, &room, ret_initrd, err);
}

int boot_dump_tree(const struct guest_mem *mem, const char *path, struct err *err)
{
	return arm64_fdt_dump(mem, path, err);
}

int boot_load(struct guest_mem *mem, const struct boot_config *config,
	      struct boot_entry *ret_entry, struct err *err)
{
	uint64_t ram_end = find_ram_end(mem);
	size_t cmdline_len = strlen(config->cmdline);
	struct arm64_image image;
	struct initrd initrd = { 0 };
	int r;

	if (ram_end <= ARM64_KERNEL_AT)
		return err_set(err, -ENOSPC, "memory: %" PRIu64 " KiB hold no kernel: give the "
			       "VM more memory (--memory)", (ram_end - ARM64_RAM_AT) / KiB);
	if (cmdline_len > CMDLINE_MAX)
		return err_set(err, -E2BIG, "the kernel's command line has %zu bytes; kernels "
			       "take at most %d", cmdline_len, CMDLINE_MAX);
	r = load_kernel(config->kernel, mem, ram_end, &image, err);
	if (!r && config->initrd)
		r = load_initrd(config->initrd, mem, ram_end, &image, &initrd, err);
	if (!r)
		r = arm64_fdt_write(mem, config, &initrd, err);
	if (r < 0)
		return r;
	*ret_entry = (struct boot_entry){
		.mode = BOOT_ARM64,
		.ip = image.entry,
		.arg = ARM64_FDT_AT,
	};
	return 0;
}
