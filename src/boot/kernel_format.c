// SPDX-License-Identifier: Apache-2.0
#include "boot/kernel_format.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "boot/boot_file.h"

#include <elf.h>
#include <string.h>

#define ELF_MACHINE	18	/* e_machine */

/* The first that matches; an EFI zboot image is told before what it wraps. */
static const struct magic {
	enum kernel_format format;
	uint16_t at;
	uint8_t len;
	const char *bytes;
} magics[] = {
	{ KERNEL_FORMAT_BZIMAGE,   0x202, 4, "HdrS" },
	{ KERNEL_FORMAT_ELF,	   0,	  4, "\x7f" "ELF" },
	{ KERNEL_FORMAT_EFI_ZBOOT, 4,	  4, "zimg" },
	{ KERNEL_FORMAT_ARM64,	   56,	  4, "ARM\x64" },
	{ KERNEL_FORMAT_GZIP,	   0,	  2, "\x1f\x8b" },
	{ KERNEL_FORMAT_ZSTD,	   0,	  4, "\x28\xb5\x2f\xfd" },
	{ KERNEL_FORMAT_XZ,	   0,	  6, "\xfd" "7zXZ\0" },
	{ KERNEL_FORMAT_BZIP2,	   0,	  3, "BZh" },
	{ KERNEL_FORMAT_LZ4,	   0,	  4, "\x02\x21\x4c\x18" },	/* legacy frame */
	{ KERNEL_FORMAT_LZ4,	   0,	  4, "\x04\x22\x4d\x18" },
};

static const char *const advice[KERNEL_FORMAT_NR] = {
	[KERNEL_FORMAT_GZIP]	  = "is gzip-compressed: decompress it first (gzip -d)",
	[KERNEL_FORMAT_ZSTD]	  = "is zstd-compressed: decompress it first (zstd -d)",
	[KERNEL_FORMAT_XZ]	  = "is xz-compressed: decompress it first (xz -d)",
	[KERNEL_FORMAT_BZIP2]	  = "is bzip2-compressed: decompress it first (bzip2 -d)",
	[KERNEL_FORMAT_LZ4]	  = "is lz4-compressed: decompress it first (lz4 -d)",
};

static enum kernel_format elf_of(const uint8_t *head, size_t len)
{
	switch (len < ELF_MACHINE + 2 ? EM_NONE : get_le16(head + ELF_MACHINE)) {
	case EM_X86_64:
		return KERNEL_FORMAT_ELF_X86_64;
	case EM_AARCH64:
		return KERNEL_FORMAT_ELF_ARM64;
	default:
		return KERNEL_FORMAT_ELF;
	}
}

enum kernel_format kernel_format_of(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (range_within(m->at, m->len, len) &&
		    memcmp(head + m->at, m->bytes, m->len) == 0)
			return m->format == KERNEL_FORMAT_ELF ? elf_of(head, len) : m->format;
	}
	return KERNEL_FORMAT_UNKNOWN;
}

int kernel_format_read(const struct boot_file *file, enum kernel_format *ret_format,
		       struct err *err)
{
	uint8_t head[KERNEL_FORMAT_HEAD_LEN];
	size_t len = min_u64(file->len, sizeof(head));
	int r = boot_file_read(file, 0, head, len, err);

	if (!r)
		*ret_format = kernel_format_of(head, len);
	return r;
}

const char *kernel_format_advice(enum kernel_format format)
{
	return kernel_format_foreign[format] ? kernel_format_foreign[format] : advice[format];
}
