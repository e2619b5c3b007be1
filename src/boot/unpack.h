/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h - compressed kernels, in memory.
 */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/* An unpacked file; bytes are from malloc() and the owner's to free. */
struct unpacked {
	uint8_t *bytes;
	size_t len;
};

/*
 * What was packed by gzip or zstd into these bytes; behind it may be others.  -EBADMSG
 * damaged or cut off, -E2BIG longer than max, -ENOMEM.
 */
int unpack_gzip(const uint8_t *bytes, size_t len, size_t max, struct unpacked *ret_out);
int unpack_zstd(const uint8_t *bytes, size_t len, size_t max, struct unpacked *ret_out);

#endif
