// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_grow.c - lets the refcounts count clusters that none did so far.
 *
 * The op that meets the end of what is counted extends it, others that do wait.
 * New blocks lie at the beginning of what they count, so they count themselves
 * and need no allocation:
 *
 *	a missing block		the block
 *	a full refcount table	blocks enough for all this, then a larger table
 *	a larger L1 table	blocks, a larger refcount table if it is full, the table
 *
 * The last is what a resize needs, which cannot wait; by its blocks it needs nobody's
 * counts.  It leaves a hole of no more than one block counts, which is used later.
 *
 * All is written and made durable before anything refers to it: a sector of the
 * refcount table then names the block, or the header names the table, which is
 * again one sector and so happens or does not.  Should that write fail it may
 * have happened all the same; then the image is not written any more.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void discard(struct qcow2_growth *growth)
{
	free(growth->bytes);
	free(growth->table);
	growth->bytes = NULL;
	growth->table = NULL;
}

static void end(struct qcow2_op *op, int res)
{
	struct qcow2_growth *growth = &op->q->growth;

	discard(growth);
	growth->op = NULL;
	op->resume = qcow2_op_run;
	qcow2_op_wake(&growth->waiters, 0);
	qcow2_op_run(op, res);
}

/* The state of what names the new parts is not known. */
static void give_up(struct qcow2_op *op, int res)
{
	op->q->failed = true;
	end(op, res);
}

static uint64_t len_of(const struct qcow2 *q)
{
	const struct qcow2_growth *growth = &q->growth;

	return (growth->nr_blocks + growth->nr_table + growth->nr_l1) << q->geo.cluster_bits;
}

static uint64_t table_at(const struct qcow2 *q)
{
	return q->growth.at + (q->growth.nr_blocks << q->geo.cluster_bits);
}

static uint64_t l1_at(const struct qcow2 *q)
{
	return table_at(q) + (q->growth.nr_table << q->geo.cluster_bits);
}

static void forget_meta(struct qcow2 *q)
{
	qcow2_meta_remove(q, q->growth.at, len_of(q) >> q->geo.cluster_bits);
}

static void adopt(struct qcow2 *q)
{
	qcow2_cache_drop(q, q->growth.at, len_of(q));
	q->end = max_u64(q->end, q->growth.at + len_of(q));
}

/* A block. */

static void block_named(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	if (res < 0) {
		give_up(op, res);
		return;
	}
	q->reftable[(q->growth.at >> q->geo.cluster_bits) / q->per_block] = q->growth.at;
	adopt(q);
	end(op, 0);
}

/*
 * The refcount table's sector with the entry of a new block, into growth->bytes;
 * where it belongs.
 */
static uint64_t encode_sector(struct qcow2 *q, uint64_t block)
{
	uint64_t first_new = (q->growth.at >> q->geo.cluster_bits) / q->per_block;
	uint64_t per_sector = q->sector / 8, first = align_down(block, per_sector);

	memset(q->growth.bytes, 0, q->sector);
	for (uint64_t i = first; i < first + per_sector && i < q->nr_reftable; i++)
		put_be64(q->growth.bytes + (i - first) * 8,
			 i - first_new < q->growth.nr_blocks ?
			 q->growth.at + ((i - first_new) << q->geo.cluster_bits) :
			 q->reftable[i]);
	return q->header.reftable_at + first * 8;
}

static void name_block(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t at;

	if (res < 0) {
		forget_meta(q);
		end(op, res);
		return;
	}
	at = encode_sector(q, (q->growth.at >> q->geo.cluster_bits) / q->per_block);
	op->resume = block_named;
	qcow2_op_transfer_bytes(op, DISK_WRITE, at, q->growth.bytes, q->sector);
}

static void sync_block(struct qcow2_op *op, int res)
{
	op->resume = name_block;
	if (res < 0)
		name_block(op, res);
	else
		qcow2_op_sync(op);
}

/* A table. */

static void take_table(struct qcow2 *q)
{
	qcow2_free_unused(q, q->header.reftable_at, q->header.reftable_clusters);
	free(q->reftable);
	q->reftable = q->growth.table;
	q->growth.table = NULL;
	q->nr_reftable = q->growth.nr_table << q->geo.cluster_bits >> 3;
	q->header.reftable_at = table_at(q);
	q->header.reftable_clusters = (uint32_t)q->growth.nr_table;
}

static void table_named(struct qcow2_op *op, int res)
{
	if (res < 0) {
		give_up(op, res);
		return;
	}
	take_table(op->q);
	adopt(op->q);
	end(op, 0);
}

static void sync_header(struct qcow2_op *op, int res)
{
	op->resume = table_named;
	if (res < 0)
		table_named(op, res);
	else
		qcow2_op_sync(op);
}

static void put_table(struct qcow2 *q)
{
	put_be64(q->head + QCOW2_AT_REFTABLE_AT, table_at(q));
	put_be32(q->head + QCOW2_AT_REFTABLE_CLUSTERS, (uint32_t)q->growth.nr_table);
}

static void name_table(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	if (res < 0) {
		forget_meta(q);
		end(op, res);
		return;
	}
	put_table(q);
	op->resume = sync_header;
	qcow2_op_transfer_bytes(op, DISK_WRITE, 0, q->head, q->sector);
}

static void sync_table(struct qcow2_op *op, int res)
{
	op->resume = name_table;
	if (res < 0)
		name_table(op, res);
	else
		qcow2_op_sync(op);
}

/* Begin. */

/* The blocks that count all there is of the growth. */
static void count_blocks(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;

	while (growth->nr_blocks * q->per_block < len_of(q) >> q->geo.cluster_bits)
		growth->nr_blocks++;
}

/* How many clusters a table half as large again takes, with its blocks. */
static int measure_table(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t per_cluster = q->cluster / 8;
	uint64_t nr = q->nr_reftable + q->nr_reftable / 2 + 1;

	growth->nr_table = nr / per_cluster + 1;
	count_blocks(q);
	if (growth->nr_table * per_cluster < q->nr_reftable + growth->nr_blocks)
		growth->nr_table += growth->nr_blocks / per_cluster + 1;
	count_blocks(q);
	return growth->nr_table * per_cluster > QCOW2_REFTABLE_MAX ? -ENOSPC : 0;
}

static void fill_blocks(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;

	/* Blocks follow each other, so their counts do, too. */
	for (uint64_t i = 0; i < len_of(q) >> q->geo.cluster_bits; i++)
		qcow2_bytes_set_refcount(growth->bytes, q->header.refcount_order, i, 1);
}

static int fill_table(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t nr = growth->nr_table << q->geo.cluster_bits >> 3;
	uint8_t *to = growth->bytes + (table_at(q) - growth->at);

	growth->table = calloc(nr, sizeof(*growth->table));
	if (!growth->table)
		return -ENOMEM;
	memcpy(growth->table, q->reftable, q->nr_reftable * sizeof(*growth->table));
	for (uint64_t i = 0; i < growth->nr_blocks; i++)
		growth->table[q->nr_reftable + i] = growth->at + (i << q->geo.cluster_bits);
	for (uint64_t i = 0; i < nr; i++)
		put_be64(to + i * 8, growth->table[i]);
	return 0;
}

static int add_meta(struct qcow2 *q)
{
	const struct qcow2_growth *growth = &q->growth;
	int r = qcow2_meta_add(q, growth->at, growth->nr_blocks, QCOW2_META_REFBLOCK);

	if (r < 0)
		return r;
	r = qcow2_meta_add(q, table_at(q), growth->nr_table, QCOW2_META_REFTABLE);
	if (r < 0) {
		qcow2_meta_remove(q, growth->at, growth->nr_blocks);
		return r;
	}
	r = qcow2_meta_add(q, l1_at(q), growth->nr_l1, QCOW2_META_L1);
	if (r < 0)
		qcow2_meta_remove(q, growth->at, growth->nr_blocks + growth->nr_table);
	return r;
}

/* The first block is to be the one of this index, with so many clusters of L1 table. */
static int prepare(struct qcow2 *q, uint64_t block, uint64_t nr_l1)
{
	struct qcow2_growth *growth = &q->growth;
	void *bytes;
	int r = 0;

	growth->nr_blocks = 1;
	growth->nr_table = 0;
	growth->nr_l1 = nr_l1;
	count_blocks(q);
	if (!range_within(block, growth->nr_blocks, q->nr_reftable)) {
		block = q->nr_reftable;
		r = measure_table(q);
	}
	growth->at = block * q->per_block << q->geo.cluster_bits;
	if (r < 0 || !range_within(growth->at, len_of(q), QCOW2_HOST_MAX))
		return -ENOSPC;
	if (posix_memalign(&bytes, q->sector, max_u64(len_of(q), q->sector)))
		return -ENOMEM;
	growth->bytes = memset(bytes, 0, max_u64(len_of(q), q->sector));
	fill_blocks(q);
	if (growth->nr_table)
		r = fill_table(q);
	if (!r)
		r = add_meta(q);
	if (r < 0)
		discard(growth);
	return r;
}

int qcow2_grow_start(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	struct qcow2_growth *growth = &q->growth;
	int r;

	if (growth->op) {
		qcow2_op_wait(op, &growth->waiters);
		return QCOW2_LATER;
	}
	r = prepare(q, q->hint / q->per_block, 0);
	if (r == -EEXIST)
		return qcow2_meta_corrupt(op, "metadata are not counted", growth->at);
	if (r < 0)
		return r;
	growth->op = op;
	op->resume = growth->nr_table ? sync_table : sync_block;
	qcow2_op_transfer_bytes(op, DISK_WRITE, growth->at, growth->bytes, len_of(q));
	return QCOW2_LATER;
}

/* The L1 table. */

/*
 * What the disk has of it, so that nothing is named which is not durable yet; what
 * is to be written stays so, by its sectors.  But while it is being written, all that
 * is in memory may be there, and has to, as that write still goes to the old table.
 */
static int fill_l1(struct qcow2 *q)
{
	uint8_t *to = q->growth.bytes + (l1_at(q) - q->growth.at);
	uint64_t len = q->header.nr_l1 * UINT64_C(8), read_len = align_up(len, q->sector);
	int r;

	if (q->writeback.l1_writing) {
		for (uint32_t i = 0; i < q->header.nr_l1; i++)
			put_be64(to + i * UINT64_C(8), q->l1[i]);
		return 0;
	}
	r = qcow2_bytes_read(q->file->fd, to, read_len, q->header.l1_at);
	memset(to + len, 0, read_len - len);
	return r;
}

static int write_all(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t first = (growth->at >> q->geo.cluster_bits) / q->per_block;
	int r = fill_l1(q);

	if (!r)
		r = qcow2_bytes_write(q->file->fd, growth->bytes, len_of(q), growth->at);
	if (!r)
		r = qcow2_writeback_sync(q);
	if (growth->nr_table)
		return r;
	for (uint64_t i = 0; i < growth->nr_blocks && !r; i++) {
		uint64_t at = encode_sector(q, first + i);

		r = qcow2_bytes_write(q->file->fd, growth->bytes, q->sector, at);
		q->failed |= r < 0;	/* it may name the block or not */
	}
	return r ? r : qcow2_writeback_sync(q);
}

int qcow2_grow_l1(struct qcow2 *q, uint64_t nr)
{
	uint64_t end = align_up(q->end, q->cluster) >> q->geo.cluster_bits;
	uint64_t block = (end + q->per_block - 1) / q->per_block;
	int r;

	for (uint64_t i = block; i < q->nr_reftable; i++)
		if (q->reftable[i])
			block = i + 1;
	r = prepare(q, block, align_up(nr * 8, q->cluster) >> q->geo.cluster_bits);
	if (r < 0)
		return r;
	r = write_all(q);
	if (r < 0) {
		forget_meta(q);
		discard(&q->growth);
		return r;
	}
	put_be64(q->head + QCOW2_AT_L1_AT, l1_at(q));
	if (q->growth.nr_table)
		put_table(q);
	return 0;
}

void qcow2_grow_l1_named(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t first = (growth->at >> q->geo.cluster_bits) / q->per_block;
	uint64_t old_len = align_up(q->header.nr_l1 * UINT64_C(8), q->cluster);

	qcow2_free_unused(q, q->header.l1_at, old_len >> q->geo.cluster_bits);
	q->header.l1_at = l1_at(q);
	if (growth->nr_table)
		take_table(q);
	for (uint64_t i = 0; i < growth->nr_blocks; i++)
		q->reftable[first + i] = growth->at + (i << q->geo.cluster_bits);
	adopt(q);
	discard(growth);
}
