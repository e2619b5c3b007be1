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

static void end(struct qcow2_op *op, int res)
{
	struct qcow2_growth *growth = &op->q->growth;

	free(growth->bytes);
	free(growth->table);
	growth->bytes = NULL;
	growth->table = NULL;
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
	return (q->growth.nr_blocks + q->growth.nr_table) << q->geo.cluster_bits;
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

static void name_block(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t block = (q->growth.at >> q->geo.cluster_bits) / q->per_block;
	uint64_t per_sector = q->sector / 8, first = align_down(block, per_sector);

	if (res < 0) {
		qcow2_meta_remove(q, q->growth.at, 1);
		end(op, res);
		return;
	}
	memset(q->growth.bytes, 0, q->sector);
	for (uint64_t i = 0; i < per_sector && first + i < q->nr_reftable; i++)
		put_be64(q->growth.bytes + i * 8,
			 first + i == block ? q->growth.at : q->reftable[first + i]);
	op->resume = block_named;
	qcow2_op_transfer_bytes(op, DISK_WRITE, q->header.reftable_at + first * 8,
				q->growth.bytes, q->sector);
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

static void table_named(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t old_at = q->header.reftable_at, old_nr = q->header.reftable_clusters;

	if (res < 0) {
		give_up(op, res);
		return;
	}
	free(q->reftable);
	q->reftable = q->growth.table;
	q->growth.table = NULL;
	q->nr_reftable = q->growth.nr_table << q->geo.cluster_bits >> 3;
	q->header.reftable_at = q->growth.at + (q->growth.nr_blocks << q->geo.cluster_bits);
	q->header.reftable_clusters = (uint32_t)q->growth.nr_table;
	adopt(q);
	qcow2_free_unused(q, old_at, old_nr);
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

static void name_table(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t blocks_len = q->growth.nr_blocks << q->geo.cluster_bits;

	if (res < 0) {
		qcow2_meta_remove(q, q->growth.at, q->growth.nr_blocks + q->growth.nr_table);
		end(op, res);
		return;
	}
	put_be64(q->head + QCOW2_AT_REFTABLE_AT, q->growth.at + blocks_len);
	put_be32(q->head + QCOW2_AT_REFTABLE_CLUSTERS, (uint32_t)q->growth.nr_table);
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

/* How many clusters a table half as large again takes, with its blocks. */
static int measure_table(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t per_cluster = q->cluster / 8;
	uint64_t nr = q->nr_reftable + q->nr_reftable / 2 + 1;

	growth->nr_table = nr / per_cluster + 1;
	growth->nr_blocks = 1;
	while (growth->nr_blocks * q->per_block < growth->nr_blocks + growth->nr_table)
		growth->nr_blocks++;
	if (growth->nr_table * per_cluster < q->nr_reftable + growth->nr_blocks)
		growth->nr_table += growth->nr_blocks / per_cluster + 1;
	if (growth->nr_blocks * q->per_block < growth->nr_blocks + growth->nr_table)
		growth->nr_blocks++;
	return growth->nr_table * per_cluster > QCOW2_REFTABLE_MAX ? -ENOSPC : 0;
}

static void fill_blocks(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;

	/* Blocks follow each other, so their counts do, too. */
	for (uint64_t i = 0; i < growth->nr_blocks + growth->nr_table; i++)
		qcow2_bytes_set_refcount(growth->bytes, q->header.refcount_order, i, 1);
}

static int fill_table(struct qcow2 *q)
{
	struct qcow2_growth *growth = &q->growth;
	uint64_t nr = growth->nr_table << q->geo.cluster_bits >> 3;
	uint8_t *to = growth->bytes + (growth->nr_blocks << q->geo.cluster_bits);

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

static int prepare(struct qcow2 *q, uint64_t block)
{
	struct qcow2_growth *growth = &q->growth;
	int r = 0;

	growth->nr_blocks = 1;
	growth->nr_table = 0;
	if (block >= q->nr_reftable) {
		block = q->nr_reftable;
		r = measure_table(q);
	}
	growth->at = block * q->per_block << q->geo.cluster_bits;
	if (r < 0 || !range_within(growth->at, len_of(q), QCOW2_HOST_MAX))
		return -ENOSPC;
	growth->bytes = calloc(1, max_u64(len_of(q), q->sector));
	if (!growth->bytes)
		return -ENOMEM;
	fill_blocks(q);
	if (growth->nr_table)
		r = fill_table(q);
	if (!r)
		r = qcow2_meta_add(q, growth->at, growth->nr_blocks, QCOW2_META_REFBLOCK);
	if (!r && growth->nr_table) {
		r = qcow2_meta_add(q, growth->at + (growth->nr_blocks << q->geo.cluster_bits),
				   growth->nr_table, QCOW2_META_REFTABLE);
		if (r < 0)
			qcow2_meta_remove(q, growth->at, growth->nr_blocks);
	}
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
	r = prepare(q, q->hint / q->per_block);
	if (r < 0) {
		free(growth->bytes);
		free(growth->table);
		growth->bytes = NULL;
		growth->table = NULL;
		if (r == -EEXIST)
			return qcow2_meta_corrupt(op, "metadata are not counted", growth->at);
		return r;
	}
	growth->op = op;
	op->resume = growth->nr_table ? sync_table : sync_block;
	qcow2_op_transfer_bytes(op, DISK_WRITE, growth->at, growth->bytes, len_of(q));
	return QCOW2_LATER;
}
