/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_files.h - a small arm64 kernel in each of its wrappings, and RAM for it.
 */
#ifndef TESTS_UNIT_ARM64_FILES_H
#define TESTS_UNIT_ARM64_FILES_H

#include "boot/arm64_layout.h"
#include "kernel_files.h"

#include <zlib.h>
#include <zstd.h>

#define ARM64_FILE_LEN	0x3000		/* bytes in the file, of 0x5a */
#define ARM64_FILE_SIZE	(1 * MiB)	/* in memory */
#define ZBOOT_PAYLOAD	0x200
#define ZBOOT_PE	0x40

static inline void image_arm64(struct image *image)
{
	memset(image, 0, sizeof(*image));
	image->len = ARM64_FILE_LEN;
	memset(image->bytes, 0x5a, image->len);
	put_le64(image->bytes + 8, 0);
	put_le64(image->bytes + 16, ARM64_FILE_SIZE);
	memcpy(image->bytes + 56, "ARM\x64", 4);
}

/* In place. */
static inline void image_gzip(struct image *image)
{
	static struct image plain;
	z_stream z = { .next_in = plain.bytes, .avail_in = (uInt)image->len,
		       .next_out = image->bytes, .avail_out = sizeof(image->bytes) };

	plain = *image;
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	image->len = z.total_out;
	deflateEnd(&z);
}

static inline void image_zstd(struct image *image)
{
	static struct image plain;

	plain = *image;
	image->len = ZSTD_compress(image->bytes, sizeof(image->bytes), plain.bytes, plain.len, 1);
	ck_assert(!ZSTD_isError(image->len));
}

/* What is packed by that method becomes the payload. */
static inline void image_zboot(struct image *image, const char *method)
{
	memmove(image->bytes + ZBOOT_PAYLOAD, image->bytes, image->len);
	memset(image->bytes, 0, ZBOOT_PAYLOAD);
	memcpy(image->bytes, "MZ\0\0zimg", 8);
	put_le32(image->bytes + 8, ZBOOT_PAYLOAD);
	put_le32(image->bytes + 12, (uint32_t)image->len);
	memcpy(image->bytes + 24, method, strlen(method));
	put_le32(image->bytes + 60, ZBOOT_PE);
	put_le16(image->bytes + ZBOOT_PE + 4, 0xaa64);
	image->len += ZBOOT_PAYLOAD;
}

#endif
