// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_read.c - finds out where the bytes of a read are, and fetches them.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <errno.h>

int qcow2_read_table(struct qcow2_op *op, uint64_t guest, struct qcow2_slice **ret_slice)
{
	struct qcow2 *q = op->q;
	uint64_t at = q->l1[qcow2_map_l1_index(&q->geo, guest)] & QCOW2_OFFSET;

	*ret_slice = NULL;
	if (!at)
		return 0;
	if (at & (q->cluster - 1) ||
	    !range_within(at, q->cluster, align_up(q->end, q->cluster)))
		return qcow2_meta_corrupt(op, "an L2 table is outside of the file", at);
	return qcow2_cache_get(q, op, QCOW2_META_L2, at + qcow2_map_slice(&q->geo, guest),
			       ret_slice);
}

int qcow2_read_extent(struct qcow2_op *op, const struct qcow2_slice *slice, uint64_t guest,
		      uint64_t len, struct qcow2_extent *ret_extent)
{
	const struct qcow2 *q = op->q;
	uint64_t end = align_up(q->end, q->cluster);

	if (qcow2_map_extent(&q->geo, slice->bytes, guest, len, ret_extent) < 0)
		return qcow2_meta_corrupt(op, "an L2 entry makes no sense, in the slice",
					  slice->at);
	if (ret_extent->host >= end)
		return qcow2_meta_corrupt(op, "a cluster is outside of the file",
					  ret_extent->host);
	if (ret_extent->type == QCOW2_TYPE_DATA)
		ret_extent->len = min_u64(ret_extent->len, end - ret_extent->host);
	return 0;
}

/* What the backing file does not reach reads as zeros. */
static int read_backing(struct qcow2_op *op, uint64_t guest, uint64_t len)
{
	struct qcow2 *q = op->q;
	struct iov memory;
	uint64_t there = q->backing ? disk_size(q->backing) : 0;

	there = there > guest ? min_u64(len, there - guest) : 0;
	if (!there) {
		op->piece = len;
		qcow2_op_fill_zero(op, op->done, len);
		qcow2_op_advance(op);
		return 0;
	}
	op->piece = there;
	op->resume = qcow2_op_piece_done;
	memory = qcow2_op_cut(op, op->done, there);
	op->inner = (struct disk_request){
		.op = DISK_READ, .at = guest, .len = there, .done = qcow2_op_inner_done,
		.segs = memory.segs, .nr_segs = memory.nr,
	};
	disk_submit(q->backing, &op->inner);
	return QCOW2_LATER;
}

static int read_data(struct qcow2_op *op, const struct qcow2_extent *extent)
{
	op->piece = extent->len;
	return qcow2_op_transfer_piece(op, DISK_READ, extent->host);
}

int qcow2_read_step(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	uint64_t guest = op->request->at + op->done;
	uint64_t len = op->request->len - op->done;
	struct qcow2_extent extent;
	struct qcow2_slice *slice;
	int r = qcow2_read_table(op, guest, &slice);

	if (r)
		return r;
	if (!slice)
		return read_backing(op, guest,
				    min_u64(len, qcow2_map_slice_rest(&q->geo, guest)));
	r = qcow2_read_extent(op, slice, guest, len, &extent);
	if (r)
		return r;
	switch (extent.type) {
	case QCOW2_TYPE_NONE:
		return read_backing(op, guest, extent.len);
	case QCOW2_TYPE_ZERO:
		op->piece = extent.len;
		qcow2_op_fill_zero(op, op->done, extent.len);
		qcow2_op_advance(op);
		return 0;
	case QCOW2_TYPE_DATA:
		return read_data(op, &extent);
	default:
		return qcow2_compressed_read(op, &extent);
	}
}
