// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_table.c - gives an op an L2 table that it may change.
 *
 * One that is missing is made; one that a snapshot shares is copied first, and
 * the copy has the same references that the snapshot counted when it was taken.
 * It is on the disk, though not yet durable, when the L1 entry is set in memory.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <errno.h>
#include <string.h>

static uint64_t index_of(const struct qcow2_op *op)
{
	return qcow2_map_l1_index(&op->q->geo, op->request->at + op->done);
}

static void end(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	if (res < 0)
		qcow2_free_unused(q, op->host, 1);
	q->table_maker = NULL;
	op->resume = qcow2_op_run;
	qcow2_op_put_buf(op);
	qcow2_op_wake(&q->table_waiters, 0);
	qcow2_op_run(op, res);
}

static void set_entry(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t old = q->l1[index_of(op)] & QCOW2_OFFSET;

	if (res >= 0 && q->writeback.active) {
		qcow2_op_wait(op, &q->writeback.l1_waiters);
		return;
	}
	if (res >= 0)
		res = qcow2_meta_add(q, op->host, 1, QCOW2_META_L2);
	if (res >= 0) {
		qcow2_cache_drop(q, op->host, q->cluster);
		qcow2_writeback_set_l1(q, index_of(op), op->host | QCOW2_COPIED);
		if (old)
			qcow2_free_after_writeback(q, old, 1, false);
	}
	end(op, res);
}

static void write_table(struct qcow2_op *op)
{
	op->resume = set_entry;
	qcow2_op_transfer_bytes(op, DISK_WRITE, op->host, op->buf, op->q->cluster);
}

/* What is shared has no cluster to itself, whatever the entries say. */
static void copied(struct qcow2_op *op, int res)
{
	if (res < 0) {
		end(op, res);
		return;
	}
	for (uint64_t at = 0; at < op->q->cluster; at += qcow2_map_entry_len(&op->q->geo))
		put_be64(op->buf + at, get_be64(op->buf + at) & ~QCOW2_COPIED);
	write_table(op);
}

static int make(struct qcow2_op *op, uint64_t old)
{
	struct qcow2 *q = op->q;
	uint64_t nr;
	bool fresh;
	int r;

	if (q->table_maker) {
		qcow2_op_wait(op, &q->table_waiters);
		return QCOW2_LATER;
	}
	if (old && qcow2_meta_kind(q, old) != QCOW2_META_L2)
		return qcow2_meta_corrupt(op, "an L2 table is something else, too", old);
	r = qcow2_op_get_buf(op);
	if (!r)
		r = qcow2_refcount_alloc(op, 1, &op->host, &nr, &fresh);
	if (r)
		return r;
	q->table_maker = op;
	if (old) {
		op->resume = copied;
		qcow2_op_transfer_bytes(op, DISK_READ, old, op->buf, q->cluster);
	} else {
		memset(op->buf, 0, q->cluster);
		write_table(op);
	}
	return QCOW2_LATER;
}

int qcow2_table_get(struct qcow2_op *op, uint64_t guest, struct qcow2_slice **ret_slice)
{
	uint64_t entry = op->q->l1[qcow2_map_l1_index(&op->q->geo, guest)];

	if (!(entry & QCOW2_COPIED) || !(entry & QCOW2_OFFSET))
		return make(op, entry & QCOW2_OFFSET);
	return qcow2_read_table(op, guest, ret_slice);
}
