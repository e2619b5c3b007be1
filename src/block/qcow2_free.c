// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_free.c - clusters that were given up, until they may be used again.
 *
 * Two things have to happen before a count is lowered.  The change that dropped
 * the reference must be durable, else the disk could refer to a cluster that
 * holds something else by then.  And every op that was under way when it was
 * dropped must have ended, since it may still be moving data to or from there.
 *
 * The list is worked off at the end of each write-back.  Whatever goes wrong, an
 * item stays for the next time; without memory for the list the cluster is lost
 * until a repair.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FREES_MIN 64

static bool make_room(struct qcow2_frees *frees)
{
	struct qcow2_free *more;
	unsigned max = frees->max ? 2 * frees->max : FREES_MIN;

	if (frees->first) {
		memmove(frees->list, frees->list + frees->first,
			frees->nr * sizeof(*frees->list));
		frees->first = 0;
	}
	if (frees->nr < frees->max)
		return true;
	more = realloc(frees->list, max * sizeof(*more));
	if (!more)
		return false;
	frees->list = more;
	frees->max = max;
	return true;
}

static void add(struct qcow2 *q, struct qcow2_free item)
{
	struct qcow2_frees *frees = &q->frees;
	struct qcow2_free *last;

	if (frees->first + frees->nr == frees->max && !make_room(frees))
		return;
	last = &frees->list[frees->first + frees->nr - !!frees->nr];
	/* The first one may be in work. */
	if (frees->nr > 1 && last->at + last->nr * q->cluster == item.at &&
	    last->writeback == item.writeback && last->punch == item.punch) {
		last->nr += item.nr;
		last->seq = item.seq;
		return;
	}
	frees->list[frees->first + frees->nr++] = item;
}

void qcow2_free_after_writeback(struct qcow2 *q, uint64_t at, uint64_t nr, bool punch)
{
	add(q, (struct qcow2_free){ .at = at, .nr = nr, .punch = punch,
		.writeback = q->writeback.started + 1, .seq = q->next_seq });
}

void qcow2_free_unused(struct qcow2 *q, uint64_t at, uint64_t nr)
{
	add(q, (struct qcow2_free){ .at = at, .nr = nr });
}

static bool ready(const struct qcow2 *q, const struct qcow2_free *item)
{
	return item->writeback <= q->writeback.durable &&
	       (!q->oldest || q->oldest->seq >= item->seq);
}

/* How many from index on lose their last reference, within the slice. */
static uint64_t count_last(const struct qcow2 *q, const struct qcow2_slice *slice,
			   uint64_t index, uint64_t max)
{
	uint64_t nr = 0, nr_counts = q->cache.slice_len * 8 >> q->header.refcount_order;

	while (nr < max && index + nr < nr_counts &&
	       qcow2_bytes_refcount(slice->bytes, q->header.refcount_order, index + nr) == 1)
		nr++;
	return nr;
}

static void run(struct qcow2_op *op, int res);

/* A hole that cannot be made is no harm. */
static void punched(struct qcow2_op *op, int res)
{
	(void)res;
	op->resume = run;
	run(op, 0);
}

static void punch(struct qcow2_op *op, uint64_t at, uint64_t nr)
{
	op->q->frees.nr_punched = nr;
	op->resume = punched;
	qcow2_op_transfer_bytes(op, DISK_DISCARD, at, NULL, nr * op->q->cluster);
}

/* Lower the counts of the first clusters of the first item, in one slice. */
static void lower(struct qcow2 *q, struct qcow2_slice *slice, uint64_t index, uint64_t nr)
{
	struct qcow2_free *item = &q->frees.list[q->frees.first];
	unsigned order = q->header.refcount_order;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t count = qcow2_bytes_refcount(slice->bytes, order, index + i);

		if (!count)
			continue;	/* somebody else has counted wrong: leave it */
		qcow2_bytes_set_refcount(slice->bytes, order, index + i, count - 1);
		if (count > 1)
			continue;
		qcow2_meta_remove(q, item->at + i * q->cluster, 1);
		q->hint = min_u64(q->hint, (item->at >> q->geo.cluster_bits) + i);
	}
	qcow2_cache_dirty(slice);
	item->at += nr * q->cluster;
	item->nr -= nr;
	if (item->nr)
		return;
	q->frees.first++;
	q->frees.nr--;
}

/* 0: some were freed. */
static int step(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	const struct qcow2_free *item = &q->frees.list[q->frees.first];
	uint64_t cluster = item->at >> q->geo.cluster_bits;
	uint64_t per_slice = q->cache.slice_len * 8 >> q->header.refcount_order;
	uint64_t index = cluster % per_slice, nr = q->frees.nr_punched;
	struct qcow2_slice *slice;
	int r;

	if (cluster / q->per_block >= q->nr_reftable ||
	    !(q->reftable[cluster / q->per_block] & QCOW2_REFTABLE_OFFSET)) {
		q->frees.first++;	/* not even counted */
		q->frees.nr--;
		return 0;
	}
	r = qcow2_cache_get(q, op, QCOW2_META_REFBLOCK, qcow2_refcount_slice_at(q, cluster),
			    &slice);
	if (r)
		return r;
	if (!nr && item->punch) {
		nr = count_last(q, slice, index, item->nr);
		if (nr && qcow2_meta_all(q, item->at, nr * q->cluster, QCOW2_META_NONE)) {
			punch(op, item->at, nr);
			return QCOW2_LATER;
		}
	}
	lower(q, slice, index, max_u64(nr, 1));
	q->frees.nr_punched = 0;
	return 0;
}

static void run(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	while (!res && q->frees.nr && ready(q, &q->frees.list[q->frees.first]))
		res = step(op);
	if (res != QCOW2_LATER)
		qcow2_writeback_end(q);
}

void qcow2_free_run(struct qcow2 *q)
{
	q->frees.op->resume = run;
	q->frees.nr_punched = 0;
	run(q->frees.op, 0);
}

/* Closing: the counts are on the disk, and nobody will look at the cache again. */
static int lower_on_disk(struct qcow2 *q, uint64_t cluster)
{
	unsigned order = q->header.refcount_order;
	uint64_t width = order < 3 ? 1 : BIT64(order - 3);
	uint64_t within = cluster % q->per_block;
	uint64_t byte = (within << order) / 8 & ~(width - 1);
	uint64_t index = order < 3 ? within % (8U >> order) : 0, at, count;
	uint8_t bytes[8];
	int r;

	if (cluster / q->per_block >= q->nr_reftable)
		return 0;
	at = q->reftable[cluster / q->per_block] & QCOW2_REFTABLE_OFFSET;
	if (!at)
		return 0;
	r = qcow2_bytes_read(q->file->fd, bytes, width, at + byte);
	if (r < 0)
		return r;
	count = qcow2_bytes_refcount(bytes, order, index);
	if (!count)
		return 0;
	qcow2_bytes_set_refcount(bytes, order, index, count - 1);
	return qcow2_bytes_write(q->file->fd, bytes, width, at + byte);
}

int qcow2_free_all(struct qcow2 *q)
{
	for (; q->frees.nr; q->frees.first++, q->frees.nr--) {
		struct qcow2_free *item = &q->frees.list[q->frees.first];

		for (uint64_t i = 0; i < item->nr; i++) {
			int r = lower_on_disk(q, (item->at >> q->geo.cluster_bits) + i);

			if (r < 0)
				return r;
		}
	}
	return qcow2_writeback_sync(q);
}
