/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_map.h - what the entries of an L2 table mean.  Arithmetic only.
 *
 * Tables are handled in slices: a part of a table, of a power of two of entries.
 * The unit of allocation is the cluster, or with extended entries the subcluster.
 */
#ifndef BLOCK_QCOW2_MAP_H
#define BLOCK_QCOW2_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qcow2_geometry {
	unsigned cluster_bits;
	unsigned unit_bits;		/* of a cluster or subcluster */
	unsigned l2_bits;		/* entries of a table, log2 */
	unsigned slice_bits;		/* entries of a slice, log2 */
	bool extended;			/* entries have a bitmap of subclusters */
	bool zero_flag;			/* version 3: entries may say "zeros" */
};

enum qcow2_type {
	QCOW2_TYPE_NONE,		/* what the backing file says, else zeros */
	QCOW2_TYPE_ZERO,
	QCOW2_TYPE_DATA,
	QCOW2_TYPE_COMPRESSED,
};

/* Guest bytes in a row that are stored alike. */
struct qcow2_extent {
	enum qcow2_type type;
	bool copied;			/* the first cluster is ours alone */
	/*
	 * Of the first byte; without one 0.  A cluster may be there although it
	 * does not hold the data: then it is kept for them (NONE, ZERO).
	 */
	uint64_t host;
	uint64_t len;			/* guest bytes, at least 1 */
	uint64_t compressed_len;	/* bytes at host, at most two clusters */
};

/* Where the entry of a guest byte is. */
uint64_t qcow2_map_l1_index(const struct qcow2_geometry *geo, uint64_t guest);
size_t qcow2_map_slice(const struct qcow2_geometry *geo, uint64_t guest); /* of the table */
unsigned qcow2_map_index(const struct qcow2_geometry *geo, uint64_t guest); /* in it */
size_t qcow2_map_entry_len(const struct qcow2_geometry *geo);
size_t qcow2_map_slice_len(const struct qcow2_geometry *geo);

/* Guest bytes from guest to the end of what its slice describes. */
uint64_t qcow2_map_slice_rest(const struct qcow2_geometry *geo, uint64_t guest);

uint64_t qcow2_map_entry(const struct qcow2_geometry *geo, const uint8_t *slice,
			 unsigned index);
uint64_t qcow2_map_bitmap(const struct qcow2_geometry *geo, const uint8_t *slice,
			  unsigned index);
void qcow2_map_set(const struct qcow2_geometry *geo, uint8_t *slice, unsigned index,
		   uint64_t entry, uint64_t bitmap);

/* The cluster that an entry of the standard kind has, or 0. */
uint64_t qcow2_map_host(uint64_t entry);

/* Can what the entry describes be written where it is? */
bool qcow2_map_is_own(uint64_t entry);

/* Where a compressed cluster's bytes are, from the first to the last sector's end. */
void qcow2_map_compressed(const struct qcow2_geometry *geo, uint64_t entry,
			  uint64_t *ret_at, uint64_t *ret_len);

/*
 * The extent that begins at guest, cut after len bytes and at the end of the
 * slice; -EIO when an entry is none that can be.
 */
int qcow2_map_extent(const struct qcow2_geometry *geo, const uint8_t *slice,
		     uint64_t guest, uint64_t len, struct qcow2_extent *ret_extent);

#endif
