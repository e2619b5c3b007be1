/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_format.h - what kind of file a kernel is, told by its first bytes.
 *
 * Knows more formats than can be started, so that a file of the wrong kind is
 * refused by its name and with advice.
 */
#ifndef BOOT_KERNEL_FORMAT_H
#define BOOT_KERNEL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct boot_file;
struct err;

/* So many bytes from the start decide. */
#define KERNEL_FORMAT_HEAD_LEN	1024

enum kernel_format {
	KERNEL_FORMAT_UNKNOWN,
	KERNEL_FORMAT_BZIMAGE,
	KERNEL_FORMAT_ELF,		/* of no machine known here */
	KERNEL_FORMAT_ELF_X86_64,
	KERNEL_FORMAT_ELF_ARM64,
	KERNEL_FORMAT_ARM64,
	KERNEL_FORMAT_EFI_ZBOOT,
	KERNEL_FORMAT_GZIP,
	KERNEL_FORMAT_ZSTD,
	KERNEL_FORMAT_XZ,
	KERNEL_FORMAT_BZIP2,
	KERNEL_FORMAT_LZ4,
	KERNEL_FORMAT_NR
};

/* By the first len bytes of a file. */
enum kernel_format kernel_format_of(const uint8_t *head, size_t len);
int kernel_format_read(const struct boot_file *file, enum kernel_format *ret_format,
		       struct err *err);

/* The architecture's part of the advice: on what it has no use for; else NULL. */
extern const char *const kernel_format_foreign[KERNEL_FORMAT_NR];

/* What such a file is and what to do about it: "is gzip-compressed: ...". */
const char *kernel_format_advice(enum kernel_format format);

#endif
