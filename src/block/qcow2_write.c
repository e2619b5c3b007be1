// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_write.c - writes guest data, in place or to a place found for them.
 *
 * What has a cluster of its own is written there, whatever else goes on.  The
 * rest is written anew, a run of whole units (clusters, or subclusters) or a part
 * of one at a time:
 *
 *	claim the guest clusters	other writes to them wait, and begin again
 *	take host clusters		unless one is there: marked zero, or partly used
 *	part of a unit: fill it up	by a read of the guest range, whatever that is
 *	write				whole units; in new space at the file's end,
 *					which reads as zeros, just the guest's data
 *	set the L2 entries		in the cache; give up what they said before
 *
 * An entry is set after the data are written, and it reaches the disk after they
 * are durable: qcow2_writeback.c.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Claims. */

uint64_t qcow2_write_unclaimed(struct qcow2_op *op, uint64_t guest, uint64_t len,
			       struct qcow2_op **ret_claimer)
{
	for (struct qcow2_op *other = op->q->claims; other; other = other->claim.next) {
		const struct qcow2_claim *claim = &other->claim;

		if (guest < claim->guest + claim->len && claim->guest < guest + len) {
			len = claim->guest > guest ? claim->guest - guest : 0;
			*ret_claimer = other;
		}
	}
	return len;
}

static void claim(struct qcow2_op *op)
{
	assert(!op->claim.active);
	op->claim.active = true;
	op->claim.next = op->q->claims;
	op->q->claims = op;
}

/* The piece is over; who waited for the clusters begins again. */
static void end_claim(struct qcow2_op *op, int res)
{
	struct qcow2_op **link = &op->q->claims;
	struct qcow2_queue waiters = op->claim.waiters;

	while (*link != op)
		link = &(*link)->claim.next;
	*link = op->claim.next;
	op->claim = (struct qcow2_claim){ 0 };
	qcow2_op_put_buf(op);
	if (res >= 0)
		qcow2_op_advance(op);
	qcow2_op_wake(&waiters, 0);
	qcow2_op_run(op, res);
}

static void abandon(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	if (op->claim.is_new)
		qcow2_free_unused(q, op->claim.host, op->claim.len >> q->geo.cluster_bits);
	end_claim(op, res);
}

/* Entries. */

/* The clusters that an entry refers to. */
static uint64_t clusters_of(const struct qcow2 *q, uint64_t entry, uint64_t *ret_at)
{
	uint64_t host, len;

	*ret_at = qcow2_map_host(entry);
	if (!(entry & QCOW2_COMPRESSED))
		return !!*ret_at;
	qcow2_map_compressed(&q->geo, entry, &host, &len);
	*ret_at = align_down(host, q->cluster);
	return (align_up(host + len, q->cluster) - *ret_at) >> q->geo.cluster_bits;
}

bool qcow2_write_release(struct qcow2 *q, uint64_t entry, bool punch)
{
	uint64_t at, nr = clusters_of(q, entry, &at);

	if (at & (q->cluster - 1) || at >= align_up(q->end, q->cluster) ||
	    !qcow2_meta_all(q, at, nr * q->cluster, QCOW2_META_NONE))
		return false;
	if (nr)
		qcow2_free_after_writeback(q, at, nr, punch);
	return true;
}

/* Bits of the subclusters of the cluster at guest that hold the claim's data. */
static uint64_t written_bits(const struct qcow2 *q, const struct qcow2_claim *claim,
			     uint64_t guest)
{
	uint64_t from = max_u64(guest, claim->data_at) - guest;
	uint64_t to = min_u64(guest + q->cluster, claim->data_at + claim->data_len) - guest;

	return (BIT64(to >> q->geo.unit_bits) - 1) & ~(BIT64(from >> q->geo.unit_bits) - 1);
}

static void set_entry(struct qcow2 *q, const struct qcow2_claim *claim,
		      struct qcow2_slice *slice, uint64_t guest)
{
	unsigned index = qcow2_map_index(&q->geo, guest);
	uint64_t old = qcow2_map_entry(&q->geo, slice->bytes, index);
	uint64_t bitmap = qcow2_map_bitmap(&q->geo, slice->bytes, index), bits;

	if (q->geo.extended) {
		bits = written_bits(q, claim, guest);
		if (old & QCOW2_COMPRESSED)
			bitmap = 0;
		bitmap = (bitmap & ~(bits << QCOW2_SUBCLUSTERS)) | bits;
	}
	qcow2_map_set(&q->geo, slice->bytes, index,
		      (claim->host + (guest - claim->guest)) | QCOW2_COPIED, bitmap);
	if (claim->is_new)
		qcow2_write_release(q, old, false);
}

static void set_entries(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	const struct qcow2_claim *claim = &op->claim;
	struct qcow2_slice *slice;

	op->resume = set_entries;
	if (res >= 0)
		res = qcow2_read_table(op, claim->guest, &slice);
	if (res == QCOW2_LATER)
		return;
	if (res < 0) {
		abandon(op, res);
		return;
	}
	for (uint64_t off = 0; off < claim->len; off += q->cluster)
		set_entry(q, claim, slice, claim->guest + off);
	qcow2_cache_dirty(slice);
	end_claim(op, 0);
}

/* Data. */

static void write_guest_data(struct qcow2_op *op, uint64_t guest)
{
	op->resume = set_entries;
	qcow2_op_transfer(op, DISK_WRITE, op->claim.host + (guest - op->claim.guest),
			  op->done, op->piece);
}

/* The unit is in the buffer, apart from what the guest writes. */
static void filled(struct qcow2_op *op, int res)
{
	const struct qcow2_claim *claim = &op->claim;
	uint64_t guest = op->request->at + op->done;
	uint8_t *to = op->buf + (guest - claim->data_at);

	if (res >= 0 && op->request->op == DISK_WRITE)
		res = qcow2_op_copy_out(op, to, op->done, op->piece);
	if (res < 0) {
		abandon(op, res);
		return;
	}
	if (op->request->op != DISK_WRITE)
		memset(to, 0, op->piece);
	op->resume = set_entries;
	qcow2_op_transfer_bytes(op, DISK_WRITE, claim->host + (claim->data_at - claim->guest),
				op->buf, claim->data_len);
}

static void fill(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	uint64_t at = op->claim.data_at;
	uint64_t there = min_u64(op->claim.data_len, q->disk->size - at);

	memset(op->buf + there, 0, op->claim.data_len - there);
	op->seg = (struct iovec){ op->buf, there };
	op->inner = (struct disk_request){
		.op = DISK_READ, .at = at, .len = there, .segs = &op->seg, .nr_segs = 1,
		.done = qcow2_op_inner_done,
	};
	op->resume = filled;
	qcow2_op_submit(q, &op->inner, op);
}

/* Anew. */

/* Clusters from guest on, of the slice, that have none of their own. */
static uint64_t count_missing(const struct qcow2 *q, const struct qcow2_slice *slice,
			      uint64_t guest, uint64_t len)
{
	uint64_t nr = 0;

	for (; (nr + 1) << q->geo.cluster_bits <= len; nr++, guest += q->cluster)
		if (qcow2_map_is_own(qcow2_map_entry(&q->geo, slice->bytes,
						     qcow2_map_index(&q->geo, guest))))
			break;
	return nr;
}

/*
 * What will be written: claim->data_at and data_len.  True when it is just what
 * the guest writes, false when a unit has to be filled up.
 */
static bool choose_data(struct qcow2_op *op, const struct qcow2_slice *slice, uint64_t guest,
			uint64_t len, const struct qcow2_extent *extent, bool own)
{
	const struct qcow2 *q = op->q;
	struct qcow2_claim *claim = &op->claim;
	uint64_t entry = qcow2_map_entry(&q->geo, slice->bytes, qcow2_map_index(&q->geo, guest));
	bool shared = !own && (entry & QCOW2_COMPRESSED || qcow2_map_host(entry));
	uint64_t unit = shared ? q->cluster : BIT64(q->geo.unit_bits);
	uint64_t rest = q->cluster - (guest & (q->cluster - 1));

	len = min_u64(len, qcow2_map_slice_rest(&q->geo, guest));
	claim->data_at = align_down(guest, unit);
	claim->data_len = unit;
	if (op->request->op != DISK_WRITE || claim->data_at != guest || len < unit) {
		op->piece = min_u64(len, claim->data_at + unit - guest);
		return false;
	}
	if (!own && rest == q->cluster && len >= q->cluster)
		claim->data_len = count_missing(q, slice, guest, len) << q->geo.cluster_bits;
	else
		claim->data_len = align_down(min_u64(min_u64(len, rest), extent->len), unit);
	op->piece = claim->data_len;
	return true;
}

/* Is all that will be written zeros now?  The extent tells about one unit only. */
static bool reads_as_zeros(const struct qcow2 *q, const struct qcow2_claim *claim,
			   const struct qcow2_extent *extent)
{
	if (claim->data_len > BIT64(q->geo.unit_bits))
		return false;
	return extent->type == QCOW2_TYPE_ZERO ||
	       (extent->type == QCOW2_TYPE_NONE &&
		(!q->backing || claim->data_at >= disk_size(q->backing)));
}

static int take_place(struct qcow2_op *op, const struct qcow2_slice *slice, uint64_t guest,
		      bool own)
{
	struct qcow2 *q = op->q;
	struct qcow2_claim *claim = &op->claim;
	uint64_t end = align_up(claim->data_at + claim->data_len, q->cluster), nr;
	int r;

	claim->guest = align_down(claim->data_at, q->cluster);
	claim->len = end - claim->guest;
	claim->is_new = !own;
	claim->fresh = false;
	if (own) {
		claim->host = qcow2_map_host(qcow2_map_entry(&q->geo, slice->bytes,
						qcow2_map_index(&q->geo, guest)));
		if (qcow2_meta_kind(q, claim->host) == QCOW2_META_NONE)
			return 0;
		return qcow2_meta_corrupt(op, "data are where metadata are", claim->host);
	}
	r = qcow2_refcount_alloc(op, claim->len >> q->geo.cluster_bits, &claim->host, &nr,
				 &claim->fresh);
	if (!r && nr << q->geo.cluster_bits < claim->len) {
		claim->len = claim->data_len = nr << q->geo.cluster_bits;
		op->piece = claim->len;
	}
	return r;
}

int qcow2_write_anew(struct qcow2_op *op, const struct qcow2_slice *slice,
		     uint64_t guest, uint64_t len, const struct qcow2_extent *extent)
{
	struct qcow2 *q = op->q;
	unsigned index = qcow2_map_index(&q->geo, guest);
	bool own = qcow2_map_is_own(qcow2_map_entry(&q->geo, slice->bytes, index));
	bool exact = choose_data(op, slice, guest, len, extent, own), zeros;
	int r = exact ? 0 : qcow2_op_get_buf(op);

	if (!r)
		r = take_place(op, slice, guest, own);
	if (r)
		return r;
	claim(op);
	zeros = reads_as_zeros(q, &op->claim, extent);
	if (exact || (zeros && op->claim.fresh && op->request->op == DISK_WRITE)) {
		write_guest_data(op, guest);
	} else if (zeros) {
		memset(op->buf, 0, op->claim.data_len);
		filled(op, 0);
	} else {
		fill(op);
	}
	return QCOW2_LATER;
}

/* In place. */

static int write_in_place(struct qcow2_op *op, const struct qcow2_extent *extent)
{
	struct qcow2 *q = op->q;

	if (!qcow2_meta_all(q, extent->host, extent->len, QCOW2_META_NONE))
		return qcow2_meta_corrupt(op, "data are where metadata are", extent->host);
	op->piece = extent->len;
	return qcow2_op_transfer_piece(op, DISK_WRITE, extent->host);
}

int qcow2_write_step(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	uint64_t guest = op->request->at + op->done;
	struct qcow2_op *claimer;
	uint64_t len = qcow2_write_unclaimed(op, guest, op->request->len - op->done, &claimer);
	struct qcow2_extent extent;
	struct qcow2_slice *slice;
	int r;

	if (q->corrupt || q->failed)
		return -EIO;
	if (!len) {
		qcow2_op_wait(op, &claimer->claim.waiters);
		return QCOW2_LATER;
	}
	r = qcow2_table_get(op, guest, &slice);
	if (r)
		return r;
	r = qcow2_read_extent(op, slice, guest, len, &extent);
	if (r)
		return r;
	if (extent.type == QCOW2_TYPE_DATA && extent.copied)
		return write_in_place(op, &extent);
	return qcow2_write_anew(op, slice, guest, len, &extent);
}
