// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_repair.h"

#include "base/bytes.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>

/* Whether it can be done. */

static bool rebuild_fits(const struct qcow2_walk *walk)
{
	struct qcow2_refcounts need = qcow2_refcounts_for(&walk->header, walk->nr);

	return need.nr <= QCOW2_WALK_CLUSTERS_MAX &&
	       need.nr_table << walk->geo.cluster_bits <= QCOW2_REFTABLE_MAX * 8;
}

/* Is it too much for a refcount of this image? */
static bool is_too_many(const struct qcow2_walk *walk, uint64_t count)
{
	return walk->header.refcount_order < 6 && count >> (1U << walk->header.refcount_order);
}

bool qcow2_repair_is_possible(const struct qcow2_walk *walk, bool anew)
{
	if (walk->nr_broken || (anew && !rebuild_fits(walk)))
		return false;
	for (uint64_t i = 0; i < walk->nr; i++)
		if (is_too_many(walk, walk->counts[i]))
			return false;
	return true;
}

/* Counts in place. */

static int repair_block(struct qcow2_walk *walk, uint64_t index, bool too_low,
			uint64_t *nr_fixed)
{
	uint64_t at = qcow2_walk_block(walk, index), nr_before = *nr_fixed;
	unsigned order = walk->header.refcount_order;
	int r;

	if (!at)
		return 0;
	r = qcow2_bytes_read(walk->fd, walk->block, walk->cluster, at);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < walk->per_block; i++) {
		uint64_t stored = qcow2_bytes_refcount(walk->block, order, i);
		uint64_t count = qcow2_walk_count(walk, (index * walk->per_block + i) <<
						  walk->geo.cluster_bits);

		if (too_low ? stored >= count : stored <= count)
			continue;
		qcow2_bytes_set_refcount(walk->block, order, i, count);
		++*nr_fixed;
	}
	return *nr_fixed == nr_before ? 0 :
	       qcow2_bytes_write(walk->fd, walk->block, walk->cluster, at);
}

int qcow2_repair_counts(struct qcow2_walk *walk, bool too_low, uint64_t *nr_fixed)
{
	for (uint64_t i = 0; i < walk->nr_reftable; i++) {
		int r = repair_block(walk, i, too_low, nr_fixed);

		if (r < 0)
			return r;
	}
	return qcow2_bytes_sync(walk->fd);
}

/* Flags. */

static int repair_table(struct qcow2_walk *walk, uint64_t at, uint64_t *nr_fixed)
{
	uint64_t nr;
	int r = qcow2_bytes_read(walk->fd, walk->table, walk->cluster, at);

	if (r < 0)
		return r;
	nr = qcow2_walk_set_flags(walk);
	*nr_fixed += nr;
	return nr ? qcow2_bytes_write(walk->fd, walk->table, walk->cluster, at) : 0;
}

int qcow2_repair_flags(struct qcow2_walk *walk, uint64_t *nr_fixed)
{
	for (uint32_t i = 0; i < walk->header.nr_l1; i++) {
		uint64_t at = qcow2_walk_table(walk, walk->l1[i]);
		uint8_t bytes[8];
		int r;

		if (!at)
			continue;
		r = repair_table(walk, at, nr_fixed);
		if (r < 0)
			return r;
		if ((qcow2_walk_count(walk, at) == 1) == !!(walk->l1[i] & QCOW2_COPIED))
			continue;
		walk->l1[i] ^= QCOW2_COPIED;
		put_be64(bytes, walk->l1[i]);
		r = qcow2_bytes_write(walk->fd, bytes, sizeof(bytes),
				      walk->header.l1_at + i * UINT64_C(8));
		if (r < 0)
			return r;
		++*nr_fixed;
	}
	return qcow2_bytes_sync(walk->fd);
}

/* Rebuilding: blocks, and then the table, behind all that is there. */

static int write_block(struct qcow2_walk *walk, const struct qcow2_refcounts *need,
		       uint64_t index)
{
	for (uint64_t i = 0; i < walk->per_block; i++) {
		uint64_t cluster = index * walk->per_block + i, count = 0;

		if (cluster < walk->nr)
			count = walk->counts[cluster];
		else if (cluster < need->nr)
			count = 1;
		qcow2_bytes_set_refcount(walk->block, walk->header.refcount_order, i, count);
	}
	return qcow2_bytes_write(walk->fd, walk->block, walk->cluster,
				 (walk->nr + index) << walk->geo.cluster_bits);
}

static int write_table(struct qcow2_walk *walk, const struct qcow2_refcounts *need)
{
	uint64_t len = need->nr_table << walk->geo.cluster_bits;
	uint8_t *table = calloc(1, len);
	int r;

	if (!table)
		return -ENOMEM;
	for (uint64_t i = 0; i < need->nr_blocks; i++)
		put_be64(table + i * 8, (walk->nr + i) << walk->geo.cluster_bits);
	r = qcow2_bytes_write(walk->fd, table, len,
			      (walk->nr + need->nr_blocks) << walk->geo.cluster_bits);
	free(table);
	return r;
}

static int name_table(struct qcow2_walk *walk, const struct qcow2_refcounts *need)
{
	uint8_t bytes[12];

	put_be64(bytes, (walk->nr + need->nr_blocks) << walk->geo.cluster_bits);
	put_be32(bytes + 8, (uint32_t)need->nr_table);
	return qcow2_bytes_write(walk->fd, bytes, sizeof(bytes), QCOW2_AT_REFTABLE_AT);
}

int qcow2_repair_rebuild(struct qcow2_walk *walk)
{
	struct qcow2_refcounts need = qcow2_refcounts_for(&walk->header, walk->nr);
	int r = 0;

	for (uint64_t i = 0; i < need.nr_blocks && !r; i++)
		r = write_block(walk, &need, i);
	if (!r)
		r = write_table(walk, &need);
	if (!r)
		r = qcow2_bytes_sync(walk->fd);
	if (!r)
		r = name_table(walk, &need);
	return r ? r : qcow2_bytes_sync(walk->fd);
}

int qcow2_repair_clear_marks(struct qcow2_walk *walk)
{
	struct qcow2_header *h = &walk->header;
	uint64_t marks = QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT;
	int r;

	if (!(h->incompatible & marks))
		return 0;
	h->incompatible &= ~marks;
	r = qcow2_header_write_features(h, walk->fd);
	return r ? r : qcow2_bytes_sync(walk->fd);
}
