// SPDX-License-Identifier: Apache-2.0
/*
 * x86_boot.c - the order in which an x86_64 guest's RAM is filled.
 *
 * Low RAM below 1 MiB holds what the monitor writes (x86_layout.h).  Above it
 * come the kernel, at the address that it prefers, and the initrd, as high as
 * it may be, so that the two meet only when there is no room left.
 */
#include "boot/x86_boot.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/boot.h"
#include "boot/initrd.h"
#include "boot/kernel_format.h"
#include "boot/x86_acpi.h"
#include "boot/x86_e820.h"
#include "boot/x86_kernel.h"
#include "boot/x86_layout.h"
#include "boot/x86_start.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#define GZIP_BITS	(15 + 16)	/* the largest window, gzip's header */
#define PACKED_HEAD_LEN	4096		/* holds the head and what tells how it is packed */

const char *const kernel_format_foreign[KERNEL_FORMAT_NR] = {
	[KERNEL_FORMAT_UNKNOWN]	  = "not a bzImage or an ELF kernel with a PVH note",
	[KERNEL_FORMAT_ARM64]	  = "is an arm64 Image: this machine needs an x86_64 kernel",
	[KERNEL_FORMAT_ELF_ARM64] = "is an arm64 kernel: this machine needs an x86_64 kernel",
	[KERNEL_FORMAT_EFI_ZBOOT] = "is an EFI zboot image, of another machine than x86_64: this "
				    "machine needs an x86_64 kernel",
};

/* RAM from 0 on without a gap and below the PCI hole. */
static uint64_t low_ram_end(struct guest_mem *mem)
{
	const struct guest_mem_region *regions;
	int nr = guest_mem_regions(mem, &regions);
	uint64_t end = 0;

	for (int i = 0; i < nr && regions[i].at == end; i++)
		end += regions[i].len;
	return min_u64(end, X86_LOW_RAM_END);
}

/* The first bytes of what gzip packed, as many as can be had; nothing where that is damaged. */
static size_t unpack_head(const uint8_t *packed, size_t len, uint8_t *head, size_t max)
{
	z_stream z = {
		.next_in = (uint8_t *)packed, .avail_in = (uInt)len,
		.next_out = head, .avail_out = (uInt)max,
	};

	if (inflateInit2(&z, GZIP_BITS) != Z_OK)
		return 0;
	(void)inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return max - z.avail_out;
}

/* Who unpacks a kernel of another machine is no further. */
static int refuse_packed(const struct boot_file *file, struct err *err)
{
	uint8_t packed[PACKED_HEAD_LEN], head[KERNEL_FORMAT_HEAD_LEN];
	size_t len = min_u64(file->len, sizeof(packed));
	int r = boot_file_read(file, 0, packed, len, err);
	enum kernel_format format;

	if (r < 0)
		return r;
	format = kernel_format_of(head, unpack_head(packed, len, head, sizeof(head)));
	if (format != KERNEL_FORMAT_UNKNOWN && kernel_format_foreign[format])
		return boot_file_refuse(file, -ENOEXEC, err, "what is packed in it %s",
					kernel_format_foreign[format]);
	return boot_file_refuse(file, -ENOEXEC, err, "%s",
				kernel_format_advice(KERNEL_FORMAT_GZIP));
}

static int load_by_format(const struct boot_file *file, struct guest_mem *mem,
			  uint64_t ram_end, struct x86_kernel *ret_kernel, struct err *err)
{
	enum kernel_format format;
	int r = kernel_format_read(file, &format, err);

	if (r < 0)
		return r;
	switch (format) {
	case KERNEL_FORMAT_BZIMAGE:
		return x86_kernel_load_bzimage(file, mem, ram_end, ret_kernel, err);
	case KERNEL_FORMAT_ELF:
	case KERNEL_FORMAT_ELF_X86_64:
		return x86_kernel_load_elf(file, mem, ram_end, ret_kernel, err);
	case KERNEL_FORMAT_GZIP:
		return refuse_packed(file, err);
	default:
		return boot_file_refuse(file, -ENOEXEC, err, "%s",
					kernel_format_advice(format));
	}
}

static int load_kernel(const char *path, struct guest_mem *mem, uint64_t ram_end,
		       struct x86_kernel *ret_kernel, struct err *err)
{
	struct boot_file file;
	int r = boot_file_open(&file, "kernel", path, err);

	if (r < 0)
		return r;
	r = load_by_format(&file, mem, ram_end, ret_kernel, err);
	boot_file_close(&file);
	return r;
}

static int load_initrd(const char *path, struct guest_mem *mem, uint64_t ram_end,
		       const struct x86_kernel *kernel, struct initrd *ret_initrd,
		       struct err *err)
{
	struct initrd_room room = {
		.from = kernel->end,
		.to = ram_end,
		.why_to = "where memory ends: give the VM more memory (--memory)",
	};

	if (kernel->initrd_end < ram_end) {
		room.to = kernel->initrd_end;
		room.why_to = "the limit that this kernel sets";
	}
	return initrd_load(mem, path, &room, ret_initrd, err);
}

static int write_cmdline(const char *text, struct guest_mem *mem,
			 const struct x86_kernel *kernel, struct err *err)
{
	uint64_t max = min_u64(kernel->cmdline_max, X86_CMDLINE_MAX - 1);
	size_t len = strlen(text);

	if (len > max)
		return err_set(err, -E2BIG,
			       "the kernel's command line has %zu bytes; this kernel takes "
			       "at most %" PRIu64,
			       len, max);
	return guest_mem_write(mem, X86_CMDLINE_AT, text, len + 1);
}

/* All that needs no file. */
static int write_tables(struct guest_mem *mem, const struct x86_kernel *kernel,
			const struct initrd *initrd)
{
	struct x86_e820 map;
	int r = x86_start_write(mem, kernel->mode);

	if (r < 0)
		return r;
	x86_e820_init(&map, mem);
	if (kernel->mode == BOOT_LINUX64)
		return x86_kernel_write_zero_page(mem, kernel, initrd, &map);
	return x86_kernel_write_start_info(mem, initrd, &map);
}

int boot_dump_tree(const struct guest_mem *mem, const char *path, struct err *err)
{
	(void)mem;
	return err_set(err, -ENOTSUP, "cannot write '%s': an x86_64 guest has no device tree",
		       path);
}

int boot_load(struct guest_mem *mem, const struct boot_config *config,
	      struct boot_entry *ret_entry, struct err *err)
{
	uint64_t ram_end = low_ram_end(mem);
	struct x86_kernel kernel;
	struct initrd initrd = { 0 };
	int r;

	if (ram_end <= X86_KERNEL_AT)
		return err_set(err, -ENOSPC, "memory: %" PRIu64 " KiB hold no kernel: give the "
			       "VM more memory (--memory)", ram_end / KiB);
	r = load_kernel(config->kernel, mem, ram_end, &kernel, err);
	if (r == 0)
		r = write_cmdline(config->cmdline, mem, &kernel, err);
	if (r == 0 && config->initrd)
		r = load_initrd(config->initrd, mem, ram_end, &kernel, &initrd, err);
	if (r == 0)
		r = x86_acpi_write(mem, config, err);
	if (r == 0)
		r = write_tables(mem, &kernel, &initrd);
	if (r < 0)
		return r;
	*ret_entry = (struct boot_entry){
		.mode = kernel.mode,
		.ip = kernel.entry,
		.arg = X86_ZERO_PAGE_AT,
		.page_tables = X86_PAGE_TABLES_AT,
		.gdt = X86_GDT_AT,
		.stack = X86_BOOT_STACK_AT,
	};
	return 0;
}
