// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_free.c - clusters that were given up, until they may be used again.
 *
 * Two things have to happen before a count is lowered.  The change that dropped
 * the reference must be durable, else the disk could refer to a cluster that
 * holds something else by then.  And every op that was under way when it was
 * dropped must have ended, since it may still be moving data to or from there.
 *
 * The list is worked off at the end of each write-back: what is ready is put in
 * order of place, and where the guest has discarded a cluster that nothing else
 * refers to, the host gets its space back by a hole before the count is lowered.
 * Whoever waits for the write-back, a flush say, waits for this, too, so one makes
 * only so many holes.  Whoever takes space waits while much of it could be had so, and
 * each write-back makes it less, whatever is discarded meanwhile: else an image whose
 * guest never flushes, or discards faster than holes are made, would grow on and on.
 *
 * Whatever is left, or goes wrong, stays for the next time; without memory for the
 * list the cluster is lost until a repair.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#define FREES_MIN 64
#define HOLES_MAX 128		/* of a write-back */

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

static bool continues(const struct qcow2 *q, const struct qcow2_free *item,
		      const struct qcow2_free *next)
{
	return item->at + item->nr * q->cluster == next->at && item->punch == next->punch;
}

static void add(struct qcow2 *q, struct qcow2_free item)
{
	struct qcow2_frees *frees = &q->frees;
	struct qcow2_free *last;

	if (frees->first + frees->nr == frees->max && !make_room(frees))
		return;
	frees->nr_discarded += item.punch ? item.nr : 0;
	last = &frees->list[frees->first + frees->nr - !!frees->nr];
	if (frees->nr > frees->nr_ready && continues(q, last, &item) &&
	    last->writeback == item.writeback) {
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

int qcow2_free_wait(struct qcow2_op *op, uint64_t max)
{
	const struct qcow2_frees *frees = &op->q->frees;

	if (frees->nr_discarded << op->q->geo.cluster_bits <= max ||
	    (op->has_waited && op->nr_given_back == frees->nr_given_back))
		return 0;
	op->has_waited = true;
	op->nr_given_back = frees->nr_given_back;
	return qcow2_writeback_wait(op);
}

/* What is ready. */

static bool ready(const struct qcow2 *q, const struct qcow2_free *item)
{
	return item->writeback <= q->writeback.durable &&
	       (!q->oldest || q->oldest->seq >= item->seq);
}

static int by_place(const void *a, const void *b)
{
	const struct qcow2_free *item = a, *other = b;

	return item->at < other->at ? -1 : item->at > other->at;
}

/* Have what was given up one by one, but lies together, be one item. */
static void arrange(struct qcow2 *q)
{
	struct qcow2_frees *frees = &q->frees;
	struct qcow2_free *list;
	unsigned nr = 0, nr_left = 1;

	if (frees->nr == frees->nr_ready)
		return;
	list = frees->list + frees->first + frees->nr_ready;
	while (nr < frees->nr - frees->nr_ready && ready(q, &list[nr]))
		nr++;
	if (!nr)
		return;
	qsort(list, nr, sizeof(*list), by_place);
	for (unsigned i = 1; i < nr; i++) {
		if (continues(q, &list[nr_left - 1], &list[i]))
			list[nr_left - 1].nr += list[i].nr;
		else
			list[nr_left++] = list[i];
	}
	frees->nr_ready += nr_left;
	frees->nr -= nr - nr_left;
	memmove(list + nr_left, list + nr,
		(frees->nr - frees->nr_ready) * sizeof(*list));
}

static struct qcow2_free *first(const struct qcow2 *q)
{
	return &q->frees.list[q->frees.first];
}

/* The first nr clusters of the first item are dealt with. */
static void drop(struct qcow2 *q, uint64_t nr)
{
	struct qcow2_frees *frees = &q->frees;
	struct qcow2_free *item = first(q);

	if (item->punch) {
		frees->nr_discarded -= nr;
		frees->nr_given_back += nr;
	}
	item->at += nr * q->cluster;
	item->nr -= nr;
	if (item->nr)
		return;
	frees->first++;
	frees->nr--;
	frees->nr_ready--;
}

/* The slice that counts the first cluster; 0: none does. */
static uint64_t counts_at(const struct qcow2 *q)
{
	return qcow2_refcount_slice_at(q, first(q)->at >> q->geo.cluster_bits);
}

static uint64_t index_of_first(const struct qcow2 *q)
{
	return (first(q)->at >> q->geo.cluster_bits) % q->per_slice;
}

/* Of the first item, within the slice with these counts: how many clusters are a hole to be. */
static uint64_t measure_hole(const struct qcow2 *q, const uint8_t *counts)
{
	const struct qcow2_free *item = first(q);
	uint64_t index = index_of_first(q), nr = 0;

	while (item->punch && nr < item->nr && index + nr < q->per_slice &&
	       qcow2_bytes_refcount(counts, q->header.refcount_order, index + nr) == 1)
		nr++;
	return qcow2_meta_all(q, item->at, nr * q->cluster, QCOW2_META_NONE) ? nr : 0;
}

/* Lower the counts of so many. */
static void lower(struct qcow2 *q, uint8_t *counts, uint64_t nr)
{
	const struct qcow2_free *item = first(q);
	unsigned order = q->header.refcount_order;
	uint64_t index = index_of_first(q);

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t count = qcow2_bytes_refcount(counts, order, index + i);

		if (!count)
			continue;	/* somebody else has counted wrong: leave it */
		qcow2_bytes_set_refcount(counts, order, index + i, count - 1);
		if (count > 1)
			continue;
		qcow2_meta_remove(q, item->at + i * q->cluster, 1);
		q->hint = min_u64(q->hint, (item->at >> q->geo.cluster_bits) + i);
	}
	drop(q, nr);
}

/* At the end of a write-back. */

static void run(struct qcow2_op *op, int res);

/* A hole that cannot be made is no harm. */
static void punched(struct qcow2_op *op, int res)
{
	(void)res;
	op->resume = run;
	run(op, 0);
}

static void punch(struct qcow2_op *op, uint64_t nr)
{
	op->q->frees.nr_punched = nr;
	op->resume = punched;
	qcow2_op_transfer_bytes(op, DISK_DISCARD, first(op->q)->at, NULL, nr * op->q->cluster);
}

/* 0: some were freed. */
static int step(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;
	uint64_t at = counts_at(q), nr = q->frees.nr_punched;
	struct qcow2_slice *slice;
	int r;

	if (!at) {
		drop(q, first(q)->nr);
		return 0;
	}
	r = qcow2_cache_get(q, op, QCOW2_META_REFBLOCK, at, &slice);
	if (r)
		return r;
	if (!nr)
		nr = measure_hole(q, slice->bytes);
	if (nr && !q->frees.nr_punched) {
		if (q->frees.nr_holes++ == HOLES_MAX)
			return -EAGAIN;
		punch(op, nr);
		return QCOW2_LATER;
	}
	lower(q, slice->bytes, max_u64(nr, 1));
	qcow2_cache_dirty(slice);
	q->frees.nr_punched = 0;
	return 0;
}

static void run(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;

	while (!res && q->frees.nr_ready)
		res = step(op);
	if (res != QCOW2_LATER)
		qcow2_writeback_end(q);
}

void qcow2_free_run(struct qcow2 *q)
{
	arrange(q);
	q->frees.op->resume = run;
	q->frees.nr_punched = q->frees.nr_holes = 0;
	run(q->frees.op, 0);
}

/* Closing: the counts are on the disk, and nobody will look at the cache again. */

static void punch_at_once(struct qcow2 *q, uint64_t nr)
{
	if (!q->file->no_holes && q->frees.nr_holes++ < HOLES_MAX)
		(void)!fallocate(q->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)first(q)->at, (off_t)(nr * q->cluster));
}

/* All in a row that one slice counts. */
static int lower_on_disk(struct qcow2 *q, uint64_t at, uint8_t *counts)
{
	int r = qcow2_bytes_read(q->file->fd, counts, q->cache.slice_len, at);

	while (!r && q->frees.nr && counts_at(q) == at) {
		uint64_t nr = measure_hole(q, counts);

		if (nr)
			punch_at_once(q, nr);
		lower(q, counts, max_u64(nr, 1));
	}
	return r ? r : qcow2_bytes_write(q->file->fd, counts, q->cache.slice_len, at);
}

int qcow2_free_all(struct qcow2 *q)
{
	int r = 0;

	arrange(q);
	q->frees.nr_holes = 0;
	while (q->frees.nr && !r) {
		uint64_t at = counts_at(q);

		if (at)
			r = lower_on_disk(q, at, q->cache.shadows);
		else
			drop(q, first(q)->nr);
	}
	return r ? r : qcow2_writeback_sync(q);
}
