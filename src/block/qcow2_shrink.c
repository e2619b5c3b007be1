// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_shrink.c - makes an image smaller.
 *
 * What lies beyond the new end is not referred to by the new tables.  The cluster in
 * which the end lies is copied up to there, so that nothing comes back should the
 * disk grow again.
 */
#include "block/qcow2_tool.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/qcow2.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_rewrite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int inflate(const struct qcow2_walk *walk, uint64_t entry, uint8_t *bytes)
{
	uint64_t at, len;
	uint8_t *from;
	int r;

	qcow2_map_compressed(&walk->geo, entry, &at, &len);
	from = malloc(len);
	if (!from)
		return -ENOMEM;
	r = qcow2_bytes_read(walk->fd, from, len, at);
	if (!r)
		r = qcow2_compressed_inflate(walk->header.compression, from, len, bytes,
					     walk->cluster);
	free(from);
	return r;
}

/* Have an entry of walk->table lead to no more than the first keep bytes. */
static int cut_cluster(struct qcow2_rewrite *rw, unsigned index, uint64_t keep)
{
	struct qcow2_walk *walk = &rw->next;
	uint64_t entry = qcow2_map_entry(&walk->geo, walk->table, index), host;
	uint64_t bitmap = qcow2_map_bitmap(&walk->geo, walk->table, index), kept;
	uint8_t *bytes;
	int r;

	if (!(entry & QCOW2_COMPRESSED) && !qcow2_map_host(entry))
		return 0;
	bytes = malloc(walk->cluster);
	if (!bytes)
		return -ENOMEM;
	if (entry & QCOW2_COMPRESSED) {
		r = inflate(walk, entry, bytes);
		entry = 0;
		bitmap = UINT32_MAX;
	} else {
		r = qcow2_bytes_read(walk->fd, bytes, walk->cluster, qcow2_map_host(entry));
		entry &= QCOW2_ZERO;
	}
	memset(bytes + keep, 0, walk->cluster - keep);
	if (!r)
		r = qcow2_rewrite_put(rw, bytes, walk->cluster, &host);
	free(bytes);
	if (r < 0)
		return r;
	kept = BIT64((keep * QCOW2_SUBCLUSTERS + walk->cluster - 1) >> walk->geo.cluster_bits) - 1;
	qcow2_map_set(&walk->geo, walk->table, index, entry | host,
		      bitmap & (kept | kept << QCOW2_SUBCLUSTERS));
	return 0;
}

/* Have the table in which the end lies lead to nothing beyond it. */
static int cut_table(struct qcow2_rewrite *rw, uint64_t size)
{
	struct qcow2_walk *walk = &rw->next;
	uint64_t nr = BIT64(walk->geo.l2_bits), keep = size & (walk->cluster - 1);
	uint64_t index = size >> walk->geo.cluster_bits & (nr - 1), at;
	uint64_t *entry = &walk->l1[size >> walk->geo.cluster_bits >> walk->geo.l2_bits];
	int r;

	at = qcow2_walk_table(walk, *entry);
	if (!at)
		return 0;
	r = qcow2_bytes_read(walk->fd, walk->table, walk->cluster, at);
	if (!r && keep)
		r = cut_cluster(rw, (unsigned)index++, keep);
	for (; index < nr; index++)
		qcow2_map_set(&walk->geo, walk->table, (unsigned)index, 0, 0);
	return r ? r : qcow2_rewrite_put(rw, walk->table, walk->cluster, entry);
}

static int cut(struct qcow2_rewrite *rw, uint64_t size, struct err *err)
{
	struct qcow2_header *h = &rw->next.header;
	uint64_t covered = qcow2_header_l2_entries(h) << h->cluster_bits;
	int r = size % covered ? cut_table(rw, size) : 0;

	if (r < 0)
		return err_sys(err, r, "cannot write '%s'", rw->next.path);
	h->size = size;
	h->nr_l1 = (uint32_t)qcow2_header_l1_entries(h, size);
	return qcow2_rewrite_count(rw, 0, err);
}

int qcow2_tool_shrink(struct disk *disk, uint64_t size, struct err *err)
{
	struct qcow2 *q = disk->state;
	struct qcow2_rewrite rw;
	int r;

	if (q->header.version == 2 && q->header.nr_snapshots)
		return err_set(err, -ENOTSUP, "'%s' is of version 2 and cannot change its size "
			       "while it has snapshots", disk->id);
	r = qcow2_writeback_all(q);
	if (r < 0)
		return err_sys(err, r, "cannot write '%s'", disk->id);

	/* What is in memory will soon be wrong: it is not written any more. */
	disk->read_only = true;
	r = qcow2_rewrite_init(&rw, q->file->fd, disk->id, disk->progress, err);
	if (r < 0)
		return r;
	r = cut(&rw, size, err);
	if (!r)
		r = qcow2_rewrite_commit(&rw, err);
	qcow2_rewrite_fini(&rw);
	return r;
}
