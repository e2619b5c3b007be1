// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_zero.c - discards, and writes zeros.
 *
 * Whole units only change their L2 entries.  A cluster that loses its data
 * becomes unallocated, or where a backing file would shine through, marked as
 * zero.  Zeros that are to keep their space keep the cluster, marked as zero.
 * What remains at the edges is written when zeros are asked for, and left alone
 * when it is a discard, as is everything that version 2 cannot express.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <errno.h>

#define ALL_ZERO	(((UINT64_C(1) << QCOW2_SUBCLUSTERS) - 1) << QCOW2_SUBCLUSTERS)

static int skip(struct qcow2_op *op, uint64_t len)
{
	op->piece = len;
	qcow2_op_advance(op);
	return 0;
}

static bool shines_through(const struct qcow2 *q, uint64_t guest)
{
	return q->backing && guest < disk_size(q->backing);
}

/* What a whole cluster at guest becomes; false: it cannot be told by an entry. */
static bool choose_entry(const struct qcow2_op *op, uint64_t guest, uint64_t old,
			 uint64_t *ret_entry, uint64_t *ret_bitmap)
{
	const struct qcow2 *q = op->q;
	bool keep = op->request->op == DISK_ZERO && !op->request->unmap &&
		    qcow2_map_is_own(old);
	bool mark = keep || shines_through(q, guest);

	if (mark && !q->geo.zero_flag)
		return false;
	*ret_entry = keep ? qcow2_map_host(old) | QCOW2_COPIED : 0;
	*ret_bitmap = 0;
	if (mark && q->geo.extended)
		*ret_bitmap = ALL_ZERO;
	else if (mark)
		*ret_entry |= QCOW2_ZERO;
	return true;
}

/*
 * Whole clusters from guest on; 0 when the first cannot be done so.  Only the first has
 * been judged: another one that is damaged ends the run, and then comes first.
 */
static uint64_t change_clusters(struct qcow2_op *op, struct qcow2_slice *slice,
				uint64_t guest, uint64_t len)
{
	struct qcow2 *q = op->q;
	uint64_t done = 0, entry, bitmap;

	for (; len - done >= q->cluster; done += q->cluster) {
		unsigned index = qcow2_map_index(&q->geo, guest + done);
		uint64_t old = qcow2_map_entry(&q->geo, slice->bytes, index);

		if (!choose_entry(op, guest + done, old, &entry, &bitmap))
			break;
		if (old == entry && bitmap == qcow2_map_bitmap(&q->geo, slice->bytes, index))
			continue;
		if (!qcow2_map_host(entry) &&
		    !qcow2_write_release(q, old, qcow2_map_is_own(old)))
			break;
		qcow2_map_set(&q->geo, slice->bytes, index, entry, bitmap);
		qcow2_cache_dirty(slice);
	}
	return done;
}

/* Whole subclusters of one cluster, which is ours alone or not there at all. */
static uint64_t change_subclusters(struct qcow2 *q, struct qcow2_slice *slice,
				   uint64_t guest, uint64_t len)
{
	unsigned index = qcow2_map_index(&q->geo, guest);
	uint64_t entry = qcow2_map_entry(&q->geo, slice->bytes, index);
	uint64_t bitmap = qcow2_map_bitmap(&q->geo, slice->bytes, index), bits;
	uint64_t off = guest & (q->cluster - 1), unit = BIT64(q->geo.unit_bits);

	if (!q->geo.extended || off & (unit - 1) || entry & QCOW2_COMPRESSED ||
	    (qcow2_map_host(entry) && !qcow2_map_is_own(entry)))
		return 0;
	len = align_down(min_u64(len, q->cluster - off), unit);
	bits = (BIT64((off + len) / unit) - 1) & ~(BIT64(off / unit) - 1);
	qcow2_map_set(&q->geo, slice->bytes, index, entry,
		      (bitmap & ~bits) | bits << QCOW2_SUBCLUSTERS);
	if (len)
		qcow2_cache_dirty(slice);
	return len;
}

/* What entries cannot tell. */
static int write_zeros(struct qcow2_op *op, struct qcow2_slice *slice, uint64_t guest,
		       uint64_t len, const struct qcow2_extent *extent)
{
	struct qcow2 *q = op->q;
	uint64_t rest = q->cluster - (guest & (q->cluster - 1));

	if (op->request->op == DISK_DISCARD)
		return skip(op, min_u64(len, rest));
	if (extent->type != QCOW2_TYPE_DATA || !extent->copied)
		return qcow2_write_anew(op, slice, guest, len, extent);
	op->piece = min_u64(extent->len, rest);
	op->resume = qcow2_op_piece_done;
	qcow2_op_transfer_bytes(op, DISK_ZERO, extent->host, NULL, op->piece);
	return QCOW2_LATER;
}

/* Is what the first cluster of the extent has, if anything, where metadata are? */
static bool is_over_meta(const struct qcow2 *q, const struct qcow2_extent *extent)
{
	bool has_host = extent->host || extent->type == QCOW2_TYPE_COMPRESSED;

	return has_host && !qcow2_meta_all(q, extent->host, max_u64(extent->compressed_len, 1),
					   QCOW2_META_NONE);
}

static int change(struct qcow2_op *op, struct qcow2_slice *slice, uint64_t guest,
		  uint64_t len)
{
	struct qcow2 *q = op->q;
	struct qcow2_extent extent;
	uint64_t done;
	int r = qcow2_read_extent(op, slice, guest, len, &extent);

	if (r)
		return r;
	if (is_over_meta(q, &extent))
		return qcow2_meta_corrupt(op, "data are where metadata are", extent.host);
	if (!(guest & (q->cluster - 1)) && len >= q->cluster) {
		done = change_clusters(op, slice, guest, len);
		if (done)
			return skip(op, done);
	}
	if (extent.type == QCOW2_TYPE_ZERO ||
	    (extent.type == QCOW2_TYPE_NONE && !shines_through(q, guest)))
		return skip(op, extent.len);
	done = change_subclusters(q, slice, guest, len);
	if (done)
		return skip(op, done);
	return write_zeros(op, slice, guest, len, &extent);
}

int qcow2_zero_step(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	uint64_t guest = op->request->at + op->done;
	struct qcow2_op *claimer;
	uint64_t len = qcow2_write_unclaimed(op, guest, op->request->len - op->done, &claimer);
	struct qcow2_slice *slice;
	int r;

	if (q->corrupt || q->failed)
		return -EIO;
	if (!len) {
		qcow2_op_wait(op, &claimer->claim.waiters);
		return QCOW2_LATER;
	}
	len = min_u64(len, qcow2_map_slice_rest(&q->geo, guest));
	if (!(q->l1[qcow2_map_l1_index(&q->geo, guest)] & QCOW2_OFFSET) &&
	    (op->request->op == DISK_DISCARD || !shines_through(q, guest)))
		return skip(op, len);
	r = qcow2_table_get(op, guest, &slice);
	return r ? r : change(op, slice, guest, len);
}
