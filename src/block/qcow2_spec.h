/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_spec.h - numbers of the qcow2 specification (QEMU's docs/interop/qcow2).
 *
 * All numbers in an image are big-endian.
 */
#ifndef BLOCK_QCOW2_SPEC_H
#define BLOCK_QCOW2_SPEC_H

#include "base/bits.h"

/* "Header": where the fields are. */
#define QCOW2_MAGIC			0x514649fbU	/* "QFI\xfb" */
#define QCOW2_AT_MAGIC			0
#define QCOW2_AT_VERSION		4
#define QCOW2_AT_BACKING_AT		8
#define QCOW2_AT_BACKING_LEN		16
#define QCOW2_AT_CLUSTER_BITS		20
#define QCOW2_AT_SIZE			24
#define QCOW2_AT_CRYPT_METHOD		32
#define QCOW2_AT_L1_SIZE		36
#define QCOW2_AT_L1_AT			40
#define QCOW2_AT_REFTABLE_AT		48
#define QCOW2_AT_REFTABLE_CLUSTERS	56
#define QCOW2_AT_NR_SNAPSHOTS		60
#define QCOW2_AT_SNAPSHOTS_AT		64
#define QCOW2_AT_INCOMPATIBLE		72
#define QCOW2_AT_COMPATIBLE		80
#define QCOW2_AT_AUTOCLEAR		88
#define QCOW2_AT_REFCOUNT_ORDER		96
#define QCOW2_AT_HEADER_LEN		100
#define QCOW2_AT_COMPRESSION		104

#define QCOW2_HEADER_LEN_V2		72
#define QCOW2_HEADER_LEN_V3		104
#define QCOW2_HEADER_LEN_COMPRESSION	112	/* with compression_type, padded */

#define QCOW2_BACKING_NAME_MAX		1023
#define QCOW2_CLUSTER_BITS_MIN		9
#define QCOW2_CLUSTER_BITS_MAX		21	/* no other program opens larger ones */
#define QCOW2_CLUSTER_BITS_EXTENDED	14	/* least with subclusters */
#define QCOW2_REFCOUNT_ORDER_V2		4
#define QCOW2_REFCOUNT_ORDER_MAX	6

#define QCOW2_INCOMPATIBLE_DIRTY	BIT64(0)
#define QCOW2_INCOMPATIBLE_CORRUPT	BIT64(1)
#define QCOW2_INCOMPATIBLE_DATA_FILE	BIT64(2)
#define QCOW2_INCOMPATIBLE_COMPRESSION	BIT64(3)
#define QCOW2_INCOMPATIBLE_EXTENDED	BIT64(4)
#define QCOW2_INCOMPATIBLE_KNOWN	(BIT64(5) - 1)
#define QCOW2_COMPATIBLE_LAZY		BIT64(0)
#define QCOW2_AUTOCLEAR_BITMAPS		BIT64(0)

#define QCOW2_COMPRESSION_ZLIB		0
#define QCOW2_COMPRESSION_ZSTD		1

/* "Header extensions" */
#define QCOW2_EXT_END			0U
#define QCOW2_EXT_BACKING_FORMAT	0xe2792acaU
#define QCOW2_EXT_FEATURE_NAMES		0x6803f857U
#define QCOW2_EXT_BITMAPS		0x23852875U
#define QCOW2_EXT_HEAD_LEN		8
#define QCOW2_FEATURE_NAME_LEN		48	/* of one row: type, bit, 46 of name */

/* "Host cluster management", "Cluster mapping" */
#define QCOW2_REFTABLE_OFFSET		(~UINT64_C(0) << 9)
#define QCOW2_OFFSET			(BIT64(56) - BIT64(9))	/* of L1 and L2 entries */
#define QCOW2_COPIED			BIT64(63)
#define QCOW2_COMPRESSED		BIT64(62)
#define QCOW2_ZERO			BIT64(0)
#define QCOW2_L1_RESERVED		(~(QCOW2_OFFSET | QCOW2_COPIED))
#define QCOW2_L2_RESERVED		(QCOW2_L1_RESERVED & ~(QCOW2_COMPRESSED | QCOW2_ZERO))
#define QCOW2_HOST_MAX			BIT64(56)
#define QCOW2_SUBCLUSTERS		32
#define QCOW2_SECTOR			512

/* "Snapshots": where the fields of a snapshot table entry are. */
#define QCOW2_SNAP_L1_AT		0
#define QCOW2_SNAP_L1_SIZE		8
#define QCOW2_SNAP_ID_LEN		12
#define QCOW2_SNAP_NAME_LEN		14
#define QCOW2_SNAP_SECONDS		16
#define QCOW2_SNAP_NANOSECONDS		20
#define QCOW2_SNAP_VM_STATE_LEN		32
#define QCOW2_SNAP_EXTRA_LEN		36
#define QCOW2_SNAP_HEAD_LEN		40
#define QCOW2_SNAP_EXTRA_SIZE		8	/* of the disk; within the extra data */
#define QCOW2_SNAP_EXTRA_MADE		16	/* its length, with these two numbers */

/* "Bitmaps": of a directory entry. */
#define QCOW2_BITMAP_TABLE_AT		0
#define QCOW2_BITMAP_TABLE_SIZE		8
#define QCOW2_BITMAP_NAME_LEN		18
#define QCOW2_BITMAP_EXTRA_LEN		20
#define QCOW2_BITMAP_HEAD_LEN		24

#endif
