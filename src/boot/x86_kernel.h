/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_kernel.h - the two kinds of x86_64 kernel, each in two steps.
 *
 *	x86_kernel_load_bzimage()	the file's contents into RAM
 *	x86_kernel_load_elf()
 *	  ... then the caller places the initrd and the firmware tables ...
 *	x86_kernel_write_zero_page()	where the kernel finds all these
 *	x86_kernel_write_start_info()
 *
 * A kernel lies between X86_KERNEL_AT and the end of low RAM, which both
 * loaders check for all that the kernel occupies before it manages memory
 * itself, not only for what is in the file.
 */
#ifndef BOOT_X86_KERNEL_H
#define BOOT_X86_KERNEL_H

#include "boot/boot.h"
#include "boot/boot_file.h"
#include "boot/initrd.h"
#include "boot/x86_e820.h"

#include <stddef.h>
#include <stdint.h>

/* The setup header of a bzImage, as far as the zero page has room for it. */
#define X86_KERNEL_SETUP_AT	0x1f1
#define X86_KERNEL_SETUP_END	0x290
#define X86_KERNEL_SETUP_MAX	(X86_KERNEL_SETUP_END - X86_KERNEL_SETUP_AT)

struct x86_kernel {
	enum boot_mode mode;
	gpa_t entry;
	gpa_t end;			/* after the last byte it occupies */
	gpa_t initrd_end;		/* an initrd must end here or below */
	uint64_t cmdline_max;		/* bytes, without the final zero */
	size_t setup_len;		/* BOOT_LINUX64 */
	uint8_t setup[X86_KERNEL_SETUP_MAX];
};

int x86_kernel_load_bzimage(const struct boot_file *file, struct guest_mem *mem,
			    uint64_t ram_end, struct x86_kernel *ret_kernel,
			    struct err *err);
int x86_kernel_load_elf(const struct boot_file *file, struct guest_mem *mem,
			uint64_t ram_end, struct x86_kernel *ret_kernel, struct err *err);

/* To X86_ZERO_PAGE_AT.  The command line is at X86_CMDLINE_AT. */
int x86_kernel_write_zero_page(struct guest_mem *mem, const struct x86_kernel *kernel,
			       const struct initrd *initrd, const struct x86_e820 *map);
int x86_kernel_write_start_info(struct guest_mem *mem, const struct initrd *initrd,
				const struct x86_e820 *map);

#endif
