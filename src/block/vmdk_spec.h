/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_spec.h - numbers of "Virtual Disk Format 5.0", VMware's specification.
 *
 * All numbers in an image are little-endian; places are counted in sectors.
 */
#ifndef BLOCK_VMDK_SPEC_H
#define BLOCK_VMDK_SPEC_H

#include "base/bits.h"

#define VMDK_SECTOR		512

/* "Hosted Sparse Extent Header": where the fields are. */
#define VMDK_MAGIC		0x564d444bU	/* "KDMV" */
#define VMDK_AT_MAGIC		0
#define VMDK_AT_VERSION		4
#define VMDK_AT_FLAGS		8
#define VMDK_AT_CAPACITY	12
#define VMDK_AT_GRAIN		20
#define VMDK_AT_TEXT_AT		28
#define VMDK_AT_TEXT_LEN	36
#define VMDK_AT_TABLE_ENTRIES	44
#define VMDK_AT_SPARE_DIRECTORY	48
#define VMDK_AT_DIRECTORY	56
#define VMDK_AT_OVERHEAD	64
#define VMDK_AT_LINE_ENDS	73
#define VMDK_AT_COMPRESSION	77
#define VMDK_HEADER_LEN		512

#define VMDK_LINE_ENDS		"\n \r\n"	/* damaged when copied as text */

#define VMDK_FLAG_LINE_ENDS	BIT32(0)	/* they are there */
#define VMDK_FLAG_SPARE		BIT32(1)	/* so is the second directory */
#define VMDK_FLAG_ZERO_GRAINS	BIT32(2)	/* the entry 1 is a grain of zeros */
#define VMDK_FLAG_COMPRESSED	BIT32(16)
#define VMDK_FLAG_MARKERS	BIT32(17)

#define VMDK_DEFLATE		1
#define VMDK_TABLE_ENTRIES	512	/* of a grain table, in every image */
#define VMDK_TABLE_LEN		(VMDK_TABLE_ENTRIES * 4)
#define VMDK_ZERO_GRAIN		1

/* "Stream-Optimized Compressed Sparse Extents" */
#define VMDK_DIRECTORY_AT_END	(~UINT64_C(0))
#define VMDK_GRAIN_LBA		0
#define VMDK_GRAIN_LEN		8
#define VMDK_GRAIN_DATA		12
#define VMDK_MARKER_LEN_AT	8
#define VMDK_MARKER_TYPE_AT	12
#define VMDK_MARKER_END		0
#define VMDK_MARKER_FOOTER	3

#endif
