/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_text.h - the descriptor of a vmdk image: which extents it consists of.
 *
 * It is a text, in a file of its own or in the first sectors of the only extent.
 */
#ifndef BLOCK_VMDK_TEXT_H
#define BLOCK_VMDK_TEXT_H

#include "base/bits.h"

#include <stddef.h>
#include <stdint.h>

struct err;

#define VMDK_TEXT_MAX		(256 * KiB)
#define VMDK_EXTENTS_MAX	1024	/* 2 TiB in pieces of 2 GiB */
#define VMDK_NAME_MAX		255	/* bytes of a file's name */
#define VMDK_SECTORS_MAX	(BIT64(62) / 512)

enum vmdk_type {
	VMDK_MONOLITHIC_SPARSE,
	VMDK_MONOLITHIC_FLAT,
	VMDK_SPLIT_SPARSE,
	VMDK_SPLIT_FLAT,
	VMDK_STREAM_OPTIMIZED,
};

enum vmdk_extent_kind {
	VMDK_EXTENT_SPARSE,
	VMDK_EXTENT_FLAT,
	VMDK_EXTENT_ZERO,		/* has no file */
};

struct vmdk_line {
	enum vmdk_extent_kind kind;
	uint64_t sectors;		/* of the disk; not 0 */
	uint64_t at;			/* flat: sector of the file */
	char name[VMDK_NAME_MAX + 1];	/* a file beside the descriptor, never a path */
};

struct vmdk_text {
	enum vmdk_type type;
	uint32_t nr_lines;		/* at least 1 */
	struct vmdk_line *lines;
};

/*
 * Judge len bytes; those from the first NUL on are padding.  The sum of all sectors
 * is below VMDK_SECTORS_MAX.  path is for messages.  The text is freed by
 * vmdk_text_fini(), unless this fails.
 */
int vmdk_text_parse(struct vmdk_text *text, const char *path, const char *bytes, size_t len,
		    struct err *err);
void vmdk_text_fini(struct vmdk_text *text);

/* As the descriptor calls it. */
const char *vmdk_text_type_name(enum vmdk_type type);

#endif
