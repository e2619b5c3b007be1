// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_writeback.c - brings metadata to the disk in the one order that is safe.
 *
 * What may be on the disk at any moment, whatever the power does:
 *
 *	an L2 entry refers to a cluster
 *	    => the cluster's data are there, and its reference is counted
 *	an L1 entry refers to a table => the table is there, and counted
 *	a count is lowered => nothing on the disk refers to the cluster
 *
 * Data go to the disk at once, but an L2 entry changes in the cache only when
 * the data that it will name have been written.  So a write-back is:
 *
 *	copy all dirty slices aside	what changes from now on is for the next one
 *	write the refcount slices
 *	sync				with them the data written before
 *	write the L2 slices and the L1 table
 *	sync
 *	lower the counts of clusters that nothing refers to any more (qcow2_free.c)
 *
 * A new L2 table is on the disk, empty or as a copy, before its L1 entry is set
 * in memory, so the L1 table may go together with the L2 slices.  The L1 table
 * has no copy: nobody sets an entry while a write-back is active.
 *
 * A flush of the guest needs a write-back that started after the flush came; a
 * write-back is only ever started by an op that waits for it, so when no op is
 * in flight nothing is.  When a sync fails, what was written before it may be
 * lost although a later one succeeds; the image is not written any more.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <string.h>

static void tables_written(struct qcow2 *q);

static void note(struct qcow2_writeback *wb, int res)
{
	if (res < 0 && !wb->res)
		wb->res = res;
}

/* Copies. */

static uint8_t *shadow_of(struct qcow2_slice *slice)
{
	struct qcow2_cache *c = &slice->q->cache;

	return c->shadows + (slice->bytes - c->bytes);
}

static void copy_dirty(struct qcow2 *q)
{
	for (unsigned i = 0; q->cache.nr_dirty; i++) {
		struct qcow2_slice *slice = &q->cache.slices[i];

		if (!slice->dirty)
			continue;
		memcpy(shadow_of(slice), slice->bytes, q->cache.slice_len);
		slice->dirty = false;
		slice->writing = true;
		q->cache.nr_dirty--;
	}
}

/* What was to be written is clean, or as dirty as before. */
static void settle(struct qcow2 *q)
{
	for (unsigned i = 0; i < q->cache.nr; i++) {
		struct qcow2_slice *slice = &q->cache.slices[i];

		if (!slice->writing)
			continue;
		slice->writing = false;
		if (q->writeback.res < 0)
			qcow2_cache_dirty(slice);
	}
}

/* End. */

void qcow2_writeback_end(struct qcow2 *q)
{
	struct qcow2_writeback *wb = &q->writeback;

	wb->active = false;
	qcow2_op_wake(&wb->l1_waiters, 0);	/* before another one begins */
	qcow2_op_wake(&wb->waiters, wb->res);
}

static void finish(struct qcow2 *q)
{
	struct qcow2_writeback *wb = &q->writeback;

	settle(q);
	if (wb->res < 0) {
		qcow2_writeback_end(q);
		return;
	}
	wb->durable = wb->started;
	qcow2_free_run(q);
}

/* Syncs. */

static void sync_then(struct qcow2 *q, void (*done)(struct file_io *io, int res))
{
	struct qcow2_writeback *wb = &q->writeback;

	wb->io = (struct file_io){ .op = DISK_FLUSH, .done = done };
	file_submit(q->file, q->disk->loop, &wb->io);
}

static struct qcow2 *synced(struct file_io *io, int res)
{
	struct qcow2 *q = container_of(io, struct qcow2, writeback.io);

	if (res < 0)
		q->failed = true;
	note(&q->writeback, res);
	q->writeback.wrote = false;
	return q;
}

static void tables_synced(struct file_io *io, int res)
{
	finish(synced(io, res));
}

/* Slices. */

/* A table is written to where a table of its kind is known to be, or not at all. */
static bool is_in_place(struct qcow2 *q, uint64_t at, enum qcow2_meta kind)
{
	if (qcow2_meta_kind(q, at) == kind)
		return true;
	q->corrupt = true;	/* closing marks it */
	return false;
}

static void slice_written(struct file_io *io, int res)
{
	struct qcow2_slice *slice = container_of(io, struct qcow2_slice, io);
	struct qcow2 *q = slice->q;

	note(&q->writeback, res);
	if (!--q->writeback.nr_pending)
		tables_written(q);
}

static void write_slices(struct qcow2 *q, enum qcow2_meta kind,
			 void (*done)(struct file_io *io, int res))
{
	for (unsigned i = 0; i < q->cache.nr; i++) {
		struct qcow2_slice *slice = &q->cache.slices[i];

		if (!slice->writing || slice->kind != kind)
			continue;
		if (!is_in_place(q, slice->at, kind)) {
			note(&q->writeback, -EIO);
			continue;
		}
		q->writeback.nr_pending++;
		q->writeback.wrote = true;
		slice->seg = (struct iovec){ shadow_of(slice), q->cache.slice_len };
		slice->io = (struct file_io){
			.op = DISK_WRITE, .at = slice->at, .len = q->cache.slice_len,
			.segs = &slice->seg, .nr_segs = 1, .done = done,
		};
		file_submit(q->file, q->disk->loop, &slice->io);
	}
}

/* The L1 table, sector after sector. */

static void write_l1(struct qcow2 *q);

static void encode_l1(const struct qcow2 *q, uint64_t sector, uint8_t *to)
{
	uint64_t per_sector = q->sector / 8, first = sector * per_sector;

	memset(to, 0, q->sector);
	for (uint64_t i = 0; i < per_sector && first + i < q->header.nr_l1; i++)
		put_be64(to + i * 8, q->l1[first + i]);
}

static void l1_written(struct file_io *io, int res)
{
	struct qcow2 *q = container_of(io, struct qcow2, writeback.io);

	q->writeback.l1_writing = false;
	note(&q->writeback, res);
	if (res >= 0) {
		q->l1_dirty[q->writeback.l1_next] = false;
		q->nr_l1_dirty--;
	}
	q->writeback.l1_next++;
	write_l1(q);
}

static void write_l1(struct qcow2 *q)
{
	struct qcow2_writeback *wb = &q->writeback;
	uint64_t nr = align_up(q->header.nr_l1 * UINT64_C(8), q->sector) / q->sector;

	while (q->nr_l1_dirty && wb->l1_next < nr && !q->l1_dirty[wb->l1_next])
		wb->l1_next++;
	if (!q->nr_l1_dirty || wb->l1_next == nr) {
		if (!--wb->nr_pending)
			tables_written(q);
		return;
	}
	wb->wrote = wb->l1_writing = true;
	encode_l1(q, wb->l1_next, wb->seg.iov_base);
	wb->io = (struct file_io){
		.op = DISK_WRITE, .at = q->header.l1_at + wb->l1_next * q->sector,
		.len = q->sector, .segs = &wb->seg, .nr_segs = 1, .done = l1_written,
	};
	file_submit(q->file, q->disk->loop, &wb->io);
}

static void tables_written(struct qcow2 *q)
{
	if (q->writeback.wrote && q->writeback.res >= 0)
		sync_then(q, tables_synced);
	else
		finish(q);
}

static void counts_synced(struct file_io *io, int res)
{
	struct qcow2 *q = synced(io, res);

	if (q->writeback.res < 0) {
		finish(q);
		return;
	}
	q->writeback.nr_pending = 1;	/* the L1 table */
	q->writeback.l1_next = 0;
	write_slices(q, QCOW2_META_L2, slice_written);
	write_l1(q);
}

static void count_written(struct file_io *io, int res)
{
	struct qcow2_slice *slice = container_of(io, struct qcow2_slice, io);
	struct qcow2_writeback *wb = &slice->q->writeback;

	note(wb, res);
	if (--wb->nr_pending)
		return;
	if (wb->res < 0)
		finish(slice->q);
	else
		sync_then(slice->q, counts_synced);
}

static void start(struct qcow2 *q)
{
	struct qcow2_writeback *wb = &q->writeback;

	wb->active = true;
	wb->res = 0;
	wb->wrote = false;
	wb->nr_pending = 0;
	wb->started++;
	copy_dirty(q);
	write_slices(q, QCOW2_META_REFBLOCK, count_written);
	if (!wb->nr_pending)
		sync_then(q, counts_synced);
}

/* For ops. */

int qcow2_writeback_wait(struct qcow2_op *op)
{
	struct qcow2 *q = op->q;

	if (q->failed || q->corrupt)
		return -EIO;
	qcow2_op_wait(op, &q->writeback.waiters);
	if (!q->writeback.active)
		start(q);
	return QCOW2_LATER;
}

int qcow2_writeback_flush_step(struct qcow2_op *op)
{
	struct qcow2_writeback *wb = &op->q->writeback;

	if (!op->flush_at)
		op->flush_at = wb->started + 1;
	if (wb->durable >= op->flush_at)
		return 0;
	return qcow2_writeback_wait(op);
}

void qcow2_writeback_set_l1(struct qcow2 *q, uint64_t index, uint64_t entry)
{
	uint64_t sector = index / (q->sector / 8);

	q->l1[index] = entry;
	q->nr_l1_dirty += !q->l1_dirty[sector];
	q->l1_dirty[sector] = true;
}

/* At once. */

int qcow2_writeback_sync(struct qcow2 *q)
{
	int r = qcow2_bytes_sync(q->file->fd);

	if (r < 0)
		q->failed = true;
	return r;
}

/* Closing. */

static int put_slices(struct qcow2 *q, enum qcow2_meta kind)
{
	int r = 0;

	for (unsigned i = 0; i < q->cache.nr && !r; i++) {
		struct qcow2_slice *slice = &q->cache.slices[i];

		if (!slice->dirty || slice->kind != kind)
			continue;
		if (!is_in_place(q, slice->at, kind))
			return -EIO;
		r = qcow2_bytes_write(q->file->fd, slice->bytes, q->cache.slice_len,
				      slice->at);
		slice->dirty = false;
		q->cache.nr_dirty--;
	}
	return r ? r : qcow2_writeback_sync(q);
}

static int put_l1(struct qcow2 *q)
{
	uint64_t nr = align_up(q->header.nr_l1 * UINT64_C(8), q->sector) / q->sector;
	int r = 0;

	for (uint64_t i = 0; i < nr && q->nr_l1_dirty && !r; i++) {
		if (!q->l1_dirty[i])
			continue;
		encode_l1(q, i, q->writeback.seg.iov_base);
		r = qcow2_bytes_write(q->file->fd, q->writeback.seg.iov_base, q->sector,
				      q->header.l1_at + i * q->sector);
		q->l1_dirty[i] = false;
		q->nr_l1_dirty--;
	}
	return r;
}

int qcow2_writeback_all(struct qcow2 *q)
{
	int r;

	if (q->failed || q->corrupt)
		return -EIO;
	r = put_slices(q, QCOW2_META_REFBLOCK);
	if (!r)
		r = put_l1(q);
	if (!r)
		r = put_slices(q, QCOW2_META_L2);
	if (r < 0)
		return r;
	q->writeback.durable = ++q->writeback.started;
	return qcow2_free_all(q);
}
