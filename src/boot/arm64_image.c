// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_image.c - Linux's Image by its boot protocol (Documentation/arm64/booting.rst).
 *
 * The file is what lies in memory, with a header at its start.  Packed by gzip, or
 * wrapped as an EFI zboot image (drivers/firmware/efi/libstub/zboot-header.S), it is
 * unpacked here first.
 */
#include "boot/arm64_image.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "boot/arm64_layout.h"
#include "boot/kernel_format.h"
#include "boot/unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Header of an Image. */
#define HDR_TEXT_OFFSET	8
#define HDR_IMAGE_SIZE	16
#define HDR_LEN		64

#define IMAGE_ALIGN	(2 * MiB)	/* what text_offset counts from */

/* Header of a zboot image. */
#define ZBOOT_PAYLOAD_AT	8
#define ZBOOT_PAYLOAD_LEN	12
#define ZBOOT_METHOD		24	/* a string */
#define ZBOOT_METHOD_MAX	32
#define ZBOOT_PE_AT		60
#define PE_MACHINE		4	/* from there */
#define PE_MACHINE_ARM64	0xaa64

#define PACKED_MAX	(256 * MiB)	/* beyond any kernel */

typedef int unpack_fn(const uint8_t *bytes, size_t len, size_t max, struct unpacked *ret_out);

/* Where a kernel with this header goes. */
static int place(const struct boot_file *file, const uint8_t *head, uint64_t len, gpa_t ram_end,
		 struct arm64_image *ret_image, struct err *err)
{
	uint64_t offset = get_le64(head + HDR_TEXT_OFFSET);
	uint64_t size = get_le64(head + HDR_IMAGE_SIZE);

	if (!size)
		return boot_file_refuse(file, -ENOEXEC, err,
					"is older than Linux 3.17 and does not say how much "
					"memory it needs");
	size = max_u64(size, len);
	if (offset >= IMAGE_ALIGN)
		return boot_file_refuse(file, -ENOEXEC, err,
					"damaged: wants to be 0x%" PRIx64 " bytes beyond a "
					"multiple of 2 MiB", offset);
	if (!range_within(ARM64_KERNEL_AT + offset, size, ram_end))
		return boot_file_refuse(file, -ENOSPC, err,
					"needs %" PRIu64 " MiB of memory; the VM has only %"
					PRIu64 " MiB: give it more (--memory)",
					align_up(ARM64_KERNEL_AT + offset + size - ARM64_RAM_AT,
						 MiB) / MiB,
					(ram_end - ARM64_RAM_AT) / MiB);
	*ret_image = (struct arm64_image){
		.entry = ARM64_KERNEL_AT + offset,
		.end = ARM64_KERNEL_AT + offset + size,
	};
	return 0;
}

static int load_plain(const struct boot_file *file, struct guest_mem *mem, gpa_t ram_end,
		      struct arm64_image *ret_image, struct err *err)
{
	uint8_t head[HDR_LEN];
	int r = boot_file_read(file, 0, head, sizeof(head), err);

	if (!r)
		r = place(file, head, file->len, ram_end, ret_image, err);
	return r < 0 ? r : boot_file_load(file, 0, file->len, mem, ret_image->entry, err);
}

static int load_unpacked(const struct boot_file *file, const struct unpacked *kernel,
			 struct guest_mem *mem, gpa_t ram_end, struct arm64_image *ret_image,
			 struct err *err)
{
	enum kernel_format format = kernel_format_of(kernel->bytes, kernel->len);
	int r;

	if (format != KERNEL_FORMAT_ARM64 || kernel->len < HDR_LEN)
		return boot_file_refuse(file, -ENOEXEC, err, "what is packed in it %s",
					kernel_format_advice(format));
	r = place(file, kernel->bytes, kernel->len, ram_end, ret_image, err);
	if (!r)
		r = guest_mem_write(mem, ret_image->entry, kernel->bytes, kernel->len);
	return r;
}

/* The len bytes at from are a packed Image. */
static int load_packed(const struct boot_file *file, uint64_t from, uint64_t len,
		       unpack_fn *unpack, struct guest_mem *mem, gpa_t ram_end,
		       struct arm64_image *ret_image, struct err *err)
{
	struct unpacked kernel = { 0 };
	uint8_t *packed;
	int r;

	if (len > PACKED_MAX)
		return boot_file_refuse(file, -E2BIG, err, "is too large for a kernel");
	packed = malloc(len);
	if (!packed)
		return boot_file_refuse(file, -ENOMEM, err, "no memory to unpack it");
	r = boot_file_read(file, from, packed, len, err);
	if (!r) {
		r = unpack(packed, len, ram_end - ARM64_KERNEL_AT, &kernel);
		if (r == -E2BIG)
			boot_file_refuse(file, r, err, "does not fit into memory when it is "
					 "unpacked: give the VM more (--memory)");
		else if (r < 0)
			boot_file_refuse(file, r, err, "cannot be unpacked: %s", strerror(-r));
	}
	free(packed);
	if (!r)
		r = load_unpacked(file, &kernel, mem, ram_end, ret_image, err);
	free(kernel.bytes);
	return r;
}

static int check_zboot(const struct boot_file *file, const uint8_t *head, struct err *err)
{
	uint32_t pe = get_le32(head + ZBOOT_PE_AT);
	uint8_t machine[2];
	int r = boot_file_read(file, (uint64_t)pe + PE_MACHINE, machine, sizeof(machine), err);

	if (!r && get_le16(machine) != PE_MACHINE_ARM64)
		r = boot_file_refuse(file, -ENOEXEC, err, "is a kernel for another machine than "
				     "arm64");
	return r;
}

static int load_zboot(const struct boot_file *file, struct guest_mem *mem, gpa_t ram_end,
		      struct arm64_image *ret_image, struct err *err)
{
	uint8_t head[HDR_LEN];
	char method[ZBOOT_METHOD_MAX + 1] = "";
	uint32_t at, len;
	int r = boot_file_read(file, 0, head, sizeof(head), err);

	if (!r)
		r = check_zboot(file, head, err);
	if (r < 0)
		return r;
	at = get_le32(head + ZBOOT_PAYLOAD_AT);
	len = get_le32(head + ZBOOT_PAYLOAD_LEN);
	memcpy(method, head + ZBOOT_METHOD, ZBOOT_METHOD_MAX);
	if (!len)
		return boot_file_refuse(file, -ENOEXEC, err, "damaged: holds no kernel");
	if (!strcmp(method, "gzip"))
		return load_packed(file, at, len, unpack_gzip, mem, ram_end, ret_image, err);
	if (!strncmp(method, "zstd", strlen("zstd")))
		return load_packed(file, at, len, unpack_zstd, mem, ram_end, ret_image, err);
	return boot_file_refuse(file, -ENOEXEC, err, "is packed by '%s': only gzip and zstd can "
				"be unpacked", method);
}

int arm64_image_load(const struct boot_file *file, struct guest_mem *mem, gpa_t ram_end,
		     struct arm64_image *ret_image, struct err *err)
{
	enum kernel_format format;
	int r = kernel_format_read(file, &format, err);

	if (r < 0)
		return r;
	switch (format) {
	case KERNEL_FORMAT_ARM64:
		return load_plain(file, mem, ram_end, ret_image, err);
	case KERNEL_FORMAT_GZIP:
		return load_packed(file, 0, file->len, unpack_gzip, mem, ram_end, ret_image,
				   err);
	case KERNEL_FORMAT_EFI_ZBOOT:
		return load_zboot(file, mem, ram_end, ret_image, err);
	default:
		return boot_file_refuse(file, -ENOEXEC, err, "%s",
					kernel_format_advice(format));
	}
}
