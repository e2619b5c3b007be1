/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_header.h - the first cluster of a qcow2 image, read and judged.
 *
 * What is here has been bounded: tables fit in the file's address space and in
 * memory, lengths are those of the specification, no feature is unknown.
 */
#ifndef BLOCK_QCOW2_HEADER_H
#define BLOCK_QCOW2_HEADER_H

#include "block/qcow2_spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define QCOW2_FORMAT_NAME_MAX	32
#define QCOW2_L1_MAX		(32 * MiB / 8)	/* entries; what QEMU opens, too */
#define QCOW2_REFTABLE_MAX	(8 * MiB / 8)	/* entries */
#define QCOW2_SNAPSHOTS_MAX	65536
#define QCOW2_SNAPSHOTS_LEN_MAX	(64 * MiB)
#define QCOW2_SNAPSHOTS_L1_MAX	(1 * GiB / 8)	/* entries of all of them */
#define QCOW2_BITMAPS_MAX	65535
#define QCOW2_BITMAPS_LEN_MAX	(64 * MiB)

struct qcow2_header {
	uint32_t version;
	unsigned cluster_bits;
	uint64_t size;			/* bytes that the guest sees */
	uint32_t nr_l1;
	uint64_t l1_at;
	uint64_t reftable_at;
	uint32_t reftable_clusters;
	uint32_t nr_snapshots;
	uint64_t snapshots_at;
	uint64_t incompatible, compatible, autoclear;
	unsigned refcount_order;
	uint32_t len;
	unsigned compression;
	bool has_backing, has_backing_format, has_bitmaps;
	char backing[QCOW2_BACKING_NAME_MAX + 1];
	char backing_format[QCOW2_FORMAT_NAME_MAX];
	uint64_t bitmaps_at, bitmaps_len;
	uint32_t nr_bitmaps;
};

/* Guest clusters that one L2 table describes. */
uint64_t qcow2_header_l2_entries(const struct qcow2_header *header);

/* Entries that the L1 table needs for size bytes. */
uint64_t qcow2_header_l1_entries(const struct qcow2_header *header, uint64_t size);

/* Clusters that refcounts take: blocks, and the table that names them. */
struct qcow2_refcounts {
	uint64_t nr_blocks, nr_table;
	uint64_t nr;			/* of an image that has these, too */
};

/* Those that count nr other clusters and themselves, wherever all these are. */
struct qcow2_refcounts qcow2_refcounts_for(const struct qcow2_header *header, uint64_t nr);

/* path is for messages; the file is file_len bytes long.  Main. */
int qcow2_header_read(struct qcow2_header *header, int fd, const char *path,
		      uint64_t file_len, struct err *err);

/* Write the feature words, of version 3; a single sector.  Main. */
int qcow2_header_write_features(const struct qcow2_header *header, int fd);

#endif
