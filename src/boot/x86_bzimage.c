// SPDX-License-Identifier: Apache-2.0
/*
 * x86_bzimage.c - bzImage by the 64-bit boot protocol of Linux
 * (Documentation/arch/x86/boot.rst).
 *
 * The file is a setup part of 512-byte sectors, of which only the header that
 * starts at 0x1f1 matters here, and a payload that unpacks itself: it is
 * loaded somewhere and then needs init_size bytes from its run address on.
 */
#include "boot/x86_kernel.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "boot/x86_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SECTOR			512
#define SETUP_SECTS_DEFAULT	4	/* meant by 0, for historical reasons */
#define ENTRY_64_AT		0x200	/* in the payload */

/* Offsets in the setup header and, the same, in the zero page. */
#define HDR_SETUP_SECTS		0x1f1
#define HDR_SYSSIZE		0x1f4	/* payload, in units of 16 bytes */
#define HDR_VID_MODE		0x1fa
#define HDR_BOOT_FLAG		0x1fe
#define HDR_JUMP		0x200	/* its second byte tells the header's end */
#define HDR_MAGIC		0x202
#define HDR_VERSION		0x206
#define HDR_TYPE_OF_LOADER	0x210
#define HDR_LOADFLAGS		0x211
#define HDR_RAMDISK_IMAGE	0x218
#define HDR_RAMDISK_SIZE	0x21c
#define HDR_CMD_LINE_PTR	0x228
#define HDR_INITRD_ADDR_MAX	0x22c
#define HDR_KERNEL_ALIGNMENT	0x230
#define HDR_RELOCATABLE		0x234
#define HDR_XLOADFLAGS		0x236
#define HDR_CMDLINE_SIZE	0x238
#define HDR_SETUP_DATA		0x250
#define HDR_PREF_ADDRESS	0x258
#define HDR_INIT_SIZE		0x260
#define HDR_END_MIN		0x264	/* after init_size */

#define BOOT_FLAG		0xaa55
#define VERSION_MIN		0x020c
#define LOADED_HIGH		BIT32(0)
#define KERNEL_64		BIT32(0)
#define LOADER_UNASSIGNED	0xff
#define VID_MODE_NORMAL		0xffff

/* In the zero page only. */
#define ZERO_ACPI_RSDP		0x070
#define ZERO_E820_ENTRIES	0x1e8
#define ZERO_E820_TABLE		0x2d0
#define ZERO_E820_MAX		128
#define ZERO_LEN		4096

#define E820_LEN		20

_Static_assert(X86_E820_MAX <= ZERO_E820_MAX, "the zero page has no room for the map");

/* The header by its offsets in the file. */
static const uint8_t *field(const struct x86_kernel *kernel, unsigned at)
{
	return &kernel->setup[at - X86_KERNEL_SETUP_AT];
}

static int read_header(const struct boot_file *file, struct x86_kernel *kernel,
		       struct err *err)
{
	unsigned version, end;
	int r = boot_file_read(file, X86_KERNEL_SETUP_AT, kernel->setup,
			       sizeof(kernel->setup), err);

	if (r < 0)
		return r;
	if (get_le16(field(kernel, HDR_BOOT_FLAG)) != BOOT_FLAG)
		return boot_file_refuse(file, -ENOEXEC, err, "damaged: no boot signature");
	version = get_le16(field(kernel, HDR_VERSION));
	if (version < VERSION_MIN)
		return boot_file_refuse(file, -ENOEXEC, err,
					"boot protocol %u.%02u is too old, 2.12 is needed "
					"(Linux 3.8 or newer)",
					version >> 8, version & 0xff);
	if (!(get_le16(field(kernel, HDR_XLOADFLAGS)) & KERNEL_64) ||
	    !(*field(kernel, HDR_LOADFLAGS) & LOADED_HIGH))
		return boot_file_refuse(file, -ENOEXEC, err,
					"is a 32-bit kernel: a 64-bit one is needed");
	end = HDR_MAGIC + *field(kernel, HDR_JUMP + 1);
	if (end < HDR_END_MIN)
		return boot_file_refuse(file, -ENOEXEC, err,
					"damaged: its setup header ends at 0x%x", end);
	kernel->setup_len = min_u64(end, X86_KERNEL_SETUP_END) - X86_KERNEL_SETUP_AT;
	return 0;
}

/* Where the payload is in the file. */
static int find_payload(const struct boot_file *file, const struct x86_kernel *kernel,
			uint64_t *ret_from, uint64_t *ret_len, struct err *err)
{
	uint64_t sects = *field(kernel, HDR_SETUP_SECTS);
	uint64_t from = ((sects ? sects : SETUP_SECTS_DEFAULT) + 1) * SECTOR;
	uint64_t len = get_le32(field(kernel, HDR_SYSSIZE)) * UINT64_C(16);

	/* syssize is rounded up; a file may also go on, with a signature. */
	if (from >= file->len || len > align_up(file->len - from, 16))
		return boot_file_refuse(file, -ENOEXEC, err,
					"truncated: has %" PRIu64 " bytes of %" PRIu64,
					file->len, from + len);
	if (len <= ENTRY_64_AT)
		return boot_file_refuse(file, -ENOEXEC, err,
					"damaged: its kernel has only %" PRIu64 " bytes", len);
	*ret_from = from;
	*ret_len = min_u64(len, file->len - from);
	return 0;
}

/*
 * The address to load at.  A relocatable kernel may be put anywhere, but from
 * below pref_address it moves itself up there: a lower address saves nothing.
 */
static int choose_address(const struct boot_file *file, const struct x86_kernel *kernel,
			  uint64_t size, uint64_t ram_end, gpa_t *ret_at, struct err *err)
{
	gpa_t at = get_le64(field(kernel, HDR_PREF_ADDRESS));

	if (at < X86_KERNEL_AT) {
		uint32_t alignment = get_le32(field(kernel, HDR_KERNEL_ALIGNMENT));

		if (!*field(kernel, HDR_RELOCATABLE))
			return boot_file_refuse(file, -ENOEXEC, err,
						"cannot be moved away from 0x%" PRIx64
						", which is below 1 MiB", at);
		if (!is_power_of_two(alignment))
			return boot_file_refuse(file, -ENOEXEC, err,
						"damaged: wants an alignment of 0x%" PRIx32,
						alignment);
		at = align_up(X86_KERNEL_AT, alignment);
	}
	if (!range_within(at, size, ram_end))
		return boot_file_refuse(file, -ENOSPC, err,
					"needs %" PRIu64 " MiB of memory from %" PRIu64
					" MiB on; the VM has only %" PRIu64
					" MiB: give it more (--memory)",
					align_up(size, MiB) / MiB, at / MiB, ram_end / MiB);
	*ret_at = at;
	return 0;
}

int x86_kernel_load_bzimage(const struct boot_file *file, struct guest_mem *mem,
			    uint64_t ram_end, struct x86_kernel *ret_kernel, struct err *err)
{
	struct x86_kernel kernel = { .mode = BOOT_LINUX64 };
	uint64_t from = 0, len = 0, size;
	gpa_t at = 0;
	int r = read_header(file, &kernel, err);

	if (r == 0)
		r = find_payload(file, &kernel, &from, &len, err);
	if (r < 0)
		return r;
	size = max_u64(get_le32(field(&kernel, HDR_INIT_SIZE)), len);
	r = choose_address(file, &kernel, size, ram_end, &at, err);
	if (r == 0)
		r = boot_file_load(file, from, len, mem, at, err);
	if (r < 0)
		return r;
	kernel.entry = at + ENTRY_64_AT;
	kernel.end = at + size;
	kernel.initrd_end = get_le32(field(&kernel, HDR_INITRD_ADDR_MAX)) + UINT64_C(1);
	kernel.cmdline_max = get_le32(field(&kernel, HDR_CMDLINE_SIZE));
	*ret_kernel = kernel;
	return 0;
}

static void put_e820(uint8_t *zero, const struct x86_e820 *map)
{
	uint8_t *to = zero + ZERO_E820_TABLE;

	zero[ZERO_E820_ENTRIES] = (uint8_t)map->nr;
	for (unsigned i = 0; i < map->nr; i++, to += E820_LEN) {
		put_le64(to, map->entries[i].at);
		put_le64(to + 8, map->entries[i].len);
		put_le32(to + 16, map->entries[i].type);
	}
}

int x86_kernel_write_zero_page(struct guest_mem *mem, const struct x86_kernel *kernel,
			       const struct initrd *initrd, const struct x86_e820 *map)
{
	uint8_t zero[ZERO_LEN] = { 0 };

	memcpy(zero + X86_KERNEL_SETUP_AT, kernel->setup, kernel->setup_len);
	zero[HDR_TYPE_OF_LOADER] = LOADER_UNASSIGNED;
	put_le16(zero + HDR_VID_MODE, VID_MODE_NORMAL);
	put_le32(zero + HDR_RAMDISK_IMAGE, (uint32_t)initrd->at);
	put_le32(zero + HDR_RAMDISK_SIZE, (uint32_t)initrd->len);
	put_le32(zero + HDR_CMD_LINE_PTR, X86_CMDLINE_AT);
	put_le64(zero + HDR_SETUP_DATA, 0);
	put_le64(zero + ZERO_ACPI_RSDP, X86_ACPI_AT);
	put_e820(zero, map);
	return guest_mem_write(mem, X86_ZERO_PAGE_AT, zero, sizeof(zero));
}
