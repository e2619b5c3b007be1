// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_meta.c - which clusters hold metadata, so that nothing else goes there.
 *
 * A damaged image, or a mistake of ours, may name the same cluster twice: as data
 * and as a table, say.  To write to it would destroy what is still intact.  So
 * the set of all metadata clusters is kept, from opening on, and each write is
 * compared with it: of a table, that the cluster is known as such a table; of
 * data, that it is not known at all.  Tables that only a snapshot uses are not in
 * it, apart from its L1 table.
 *
 * The set is a hash table with open addressing.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_snapshot.h"

#include <errno.h>
#include <stdlib.h>

#define CELLS_MIN	256
#define KIND_BITS	4
#define KIND_MASK	(BIT64(KIND_BITS) - 1)
#define GONE		KIND_MASK	/* keeps longer probes working */

static uint64_t *find(const struct qcow2_meta_set *set, uint64_t cluster)
{
	uint64_t mask = set->nr_cells - 1;
	uint64_t i = cluster * UINT64_C(0x9e3779b97f4a7c15) >> 20 & mask;

	while (set->cells[i] && set->cells[i] >> KIND_BITS != cluster)
		i = (i + 1) & mask;
	return &set->cells[i];
}

/* Room for one more; rebuilds without what is gone. */
static int grow(struct qcow2_meta_set *set)
{
	struct qcow2_meta_set bigger = { 0 };

	if (set->nr_cells / 4 * 3 > set->nr_used)
		return 0;
	bigger.nr_cells = max_u64(set->nr_cells * 2, CELLS_MIN);
	bigger.cells = calloc(bigger.nr_cells, sizeof(*bigger.cells));
	if (!bigger.cells)
		return -ENOMEM;
	for (uint64_t i = 0; i < set->nr_cells; i++) {
		uint64_t cell = set->cells[i];

		if (!cell || (cell & KIND_MASK) == GONE)
			continue;
		*find(&bigger, cell >> KIND_BITS) = cell;
		bigger.nr_used++;
	}
	free(set->cells);
	*set = bigger;
	return 0;
}

static int add_cluster(struct qcow2_meta_set *set, uint64_t cluster, enum qcow2_meta kind)
{
	uint64_t *cell;
	int r = grow(set);

	if (r < 0)
		return r;
	cell = find(set, cluster);
	if (*cell && (*cell & KIND_MASK) != GONE)
		return -EEXIST;
	set->nr_used += !*cell;
	*cell = cluster << KIND_BITS | kind;
	return 0;
}

int qcow2_meta_add(struct qcow2 *q, uint64_t at, uint64_t nr, enum qcow2_meta kind)
{
	uint64_t first = at >> q->geo.cluster_bits;

	for (uint64_t i = 0; i < nr; i++) {
		int r = add_cluster(&q->meta, first + i, kind);

		if (r < 0) {
			qcow2_meta_remove(q, at, i);
			return r;
		}
	}
	return 0;
}

void qcow2_meta_remove(struct qcow2 *q, uint64_t at, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t *cell = find(&q->meta, (at >> q->geo.cluster_bits) + i);

		if (*cell)
			*cell |= GONE;
	}
}

enum qcow2_meta qcow2_meta_kind(const struct qcow2 *q, uint64_t at)
{
	uint64_t kind = *find(&q->meta, at >> q->geo.cluster_bits) & KIND_MASK;

	return kind == GONE ? QCOW2_META_NONE : (enum qcow2_meta)kind;
}

bool qcow2_meta_all(const struct qcow2 *q, uint64_t at, uint64_t len, enum qcow2_meta kind)
{
	uint64_t end = at + len;

	for (at = align_down(at, q->cluster); at < end; at += q->cluster)
		if (qcow2_meta_kind(q, at) != kind)
			return false;
	return true;
}

void qcow2_meta_fini(struct qcow2 *q)
{
	free(q->meta.cells);
}

/* Loading. */

static int add_table(struct qcow2 *q, uint64_t at, uint64_t len, enum qcow2_meta kind,
		     const char *path, const char *name, struct err *err)
{
	uint64_t nr = align_up(len, q->cluster) >> q->geo.cluster_bits;
	int r;

	if (at & (q->cluster - 1) || !range_within(at, len, align_up(q->end, q->cluster)))
		return err_set(err, -EIO, "'%s' is damaged: %s at %#llx is not within the file "
			       "(vmm disk check tells more)", path, name,
			       (unsigned long long)at);
	r = qcow2_meta_add(q, at, nr, kind);
	if (r == -EEXIST)
		return err_set(err, -EIO, "'%s' is damaged: %s at %#llx is where other metadata "
			       "are (vmm disk check tells more)", path, name,
			       (unsigned long long)at);
	return r < 0 ? err_sys(err, r, "'%s'", path) : 0;
}

static int add_blocks(struct qcow2 *q, const char *path, struct err *err)
{
	for (uint64_t i = 0; i < q->nr_reftable; i++) {
		uint64_t at = q->reftable[i] & QCOW2_REFTABLE_OFFSET;
		int r = at ? add_table(q, at, q->cluster, QCOW2_META_REFBLOCK, path,
				       "a refcount block", err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_l2_tables(struct qcow2 *q, const char *path, struct err *err)
{
	for (uint64_t i = 0; i < q->header.nr_l1; i++) {
		uint64_t at = q->l1[i] & QCOW2_OFFSET;
		int r = at ? add_table(q, at, q->cluster, QCOW2_META_L2, path, "an L2 table",
				       err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_snapshots(struct qcow2 *q, const char *path, struct err *err)
{
	struct qcow2_snapshots snapshots;
	int r = qcow2_snapshots_read(&snapshots, &q->header, q->file->fd, path, err);

	if (r < 0)
		return r;
	if (snapshots.len)
		r = add_table(q, q->header.snapshots_at, snapshots.len, QCOW2_META_SNAPSHOTS,
			      path, "the snapshot table", err);
	for (uint32_t i = 0; i < snapshots.nr && !r; i++)
		if (snapshots.list[i].nr_l1)
			r = add_table(q, snapshots.list[i].l1_at,
				      snapshots.list[i].nr_l1 * UINT64_C(8),
				      QCOW2_META_SNAPSHOTS, path, "a snapshot's L1 table", err);
	qcow2_snapshots_free(&snapshots);
	return r;
}

int qcow2_meta_load(struct qcow2 *q, const char *path, struct err *err)
{
	const struct qcow2_header *h = &q->header;
	int r = add_table(q, 0, q->cluster, QCOW2_META_HEADER, path, "the header", err);

	if (!r && h->nr_l1)
		r = add_table(q, h->l1_at, h->nr_l1 * UINT64_C(8), QCOW2_META_L1, path,
			      "the L1 table", err);
	if (!r)
		r = add_table(q, h->reftable_at, q->nr_reftable * 8, QCOW2_META_REFTABLE, path,
			      "the refcount table", err);
	if (!r)
		r = add_blocks(q, path, err);
	if (!r)
		r = add_l2_tables(q, path, err);
	if (!r)
		r = add_snapshots(q, path, err);
	if (!r && h->has_bitmaps && h->bitmaps_len)
		r = add_table(q, h->bitmaps_at, h->bitmaps_len, QCOW2_META_BITMAPS, path,
			      "the bitmap directory", err);
	return r;
}

/* The mark. */

static void marked(struct file_io *io, int res)
{
	struct qcow2 *q = container_of(io, struct qcow2, mark_io);

	(void)res;		/* the image is not written any more, with or without */
	q->marking = false;
	qcow2_op_wake(&q->mark_waiters, -EIO);
}

static void mark(struct qcow2 *q)
{
	q->header.incompatible |= QCOW2_INCOMPATIBLE_CORRUPT;
	put_be64(q->head + QCOW2_AT_INCOMPATIBLE, q->header.incompatible);
	q->mark_seg = (struct iovec){ q->head, q->sector };
	q->mark_io = (struct file_io){
		.op = DISK_WRITE, .at = 0, .len = q->sector, .durable = true,
		.segs = &q->mark_seg, .nr_segs = 1, .done = marked,
	};
	q->marking = true;
	file_submit(q->file, q->disk->loop, &q->mark_io);
}

int qcow2_meta_corrupt(struct qcow2_op *op, const char *what, uint64_t at)
{
	struct qcow2 *q = op->q;

	log_debug("qcow2: the image is damaged: %s, at %#llx", what, (unsigned long long)at);
	if (!q->corrupt) {
		q->corrupt = true;
		if (!q->disk->read_only && q->header.version > 2)
			mark(q);
	}
	if (!q->marking)
		return -EIO;
	qcow2_op_wait(op, &q->mark_waiters);
	return QCOW2_LATER;
}
