// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_walk.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/disk.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BITMAP_TABLE_MAX (32 * MiB / 8)

/* Count the clusters that hold [at, at+len); false when they are not all there. */
static bool count(struct qcow2_walk *walk, uint64_t at, uint64_t len)
{
	uint64_t first = at >> walk->geo.cluster_bits, last;

	if (!range_within(at, len, walk->nr << walk->geo.cluster_bits)) {
		walk->nr_broken++;
		return false;
	}
	if (!len)
		return true;
	last = (at + len - 1) >> walk->geo.cluster_bits;
	for (; first <= last; first++)
		walk->counts[first] += walk->counts[first] < UINT32_MAX;
	return true;
}

static bool count_aligned(struct qcow2_walk *walk, uint64_t at, uint64_t len)
{
	if (!(at & (walk->cluster - 1)))
		return count(walk, at, len);
	walk->nr_broken++;
	return false;
}

static void count_entry(struct qcow2_walk *walk, uint64_t entry, uint64_t bitmap)
{
	uint64_t host = qcow2_map_host(entry), len;

	if (entry & QCOW2_COMPRESSED) {
		qcow2_map_compressed(&walk->geo, entry, &host, &len);
		/* The last sectors may be beyond the end, but not by a whole cluster. */
		if (entry & QCOW2_COPIED)
			walk->nr_broken++;
		count(walk, host, len);
	} else {
		if (entry & QCOW2_L2_RESERVED || (entry & QCOW2_ZERO && !walk->geo.zero_flag))
			walk->nr_broken++;
		if (host)
			count_aligned(walk, host, walk->cluster);
	}
	if (walk->geo.extended && !(entry & QCOW2_COMPRESSED) &&
	    (bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX ||
	     (!host && bitmap & UINT32_MAX)))
		walk->nr_broken++;
}

uint64_t qcow2_walk_table(const struct qcow2_walk *walk, uint64_t entry)
{
	uint64_t at = entry & QCOW2_OFFSET;

	return at & (walk->cluster - 1) ||
	       !range_within(at, walk->cluster, walk->nr << walk->geo.cluster_bits) ? 0 : at;
}

void qcow2_walk_begin(struct qcow2_walk *walk)
{
	walk->round++;
}

bool qcow2_walk_meets(struct qcow2_walk *walk, uint64_t at)
{
	uint32_t *seen = &walk->seen[at >> walk->geo.cluster_bits];
	bool first = *seen != walk->round;

	*seen = walk->round;
	return first;
}

/* Only L2 tables are shared: what else is counted twice is not followed twice either. */
static bool is_shared(struct qcow2_walk *walk, uint64_t at)
{
	bool shared = walk->counts[at >> walk->geo.cluster_bits] > 1;

	walk->nr_broken += shared;
	return shared;
}

static int walk_l1(struct qcow2_walk *walk, const uint64_t *l1, uint32_t nr, bool active)
{
	qcow2_walk_begin(walk);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t at = l1[i] & QCOW2_OFFSET;
		int r;

		qcow2_walk_step(walk);
		if (l1[i] & QCOW2_L1_RESERVED)
			walk->nr_broken++;
		if (!at || !count_aligned(walk, at, walk->cluster))
			continue;
		if (active && is_shared(walk, at))
			continue;		/* it is something else already */
		if (!qcow2_walk_meets(walk, at)) {
			walk->nr_broken++;
			continue;
		}
		r = qcow2_bytes_read(walk->fd, walk->table, walk->cluster, at);
		if (r < 0)
			return r;
		for (unsigned k = 0; k < 1U << walk->geo.l2_bits; k++)
			count_entry(walk, qcow2_map_entry(&walk->geo, walk->table, k),
				    qcow2_map_bitmap(&walk->geo, walk->table, k));
	}
	return 0;
}

static int walk_snapshot(struct qcow2_walk *walk, const struct qcow2_snapshot *snapshot)
{
	uint64_t *l1;
	int r;

	if (!snapshot->nr_l1 ||
	    !count_aligned(walk, snapshot->l1_at, snapshot->nr_l1 * UINT64_C(8)) ||
	    is_shared(walk, snapshot->l1_at))
		return 0;
	r = qcow2_bytes_read_table(walk->fd, &l1, snapshot->nr_l1, snapshot->l1_at);
	if (r < 0)
		return r;
	r = walk_l1(walk, l1, snapshot->nr_l1, false);
	free(l1);
	return r;
}

static int walk_bitmap(struct qcow2_walk *walk, const uint8_t *entry)
{
	uint64_t at = get_be64(entry + QCOW2_BITMAP_TABLE_AT);
	uint32_t nr = get_be32(entry + QCOW2_BITMAP_TABLE_SIZE);
	uint64_t *table;
	int r;

	if (!nr || nr > BITMAP_TABLE_MAX || !count_aligned(walk, at, nr * UINT64_C(8)) ||
	    is_shared(walk, at))
		return 0;
	r = qcow2_bytes_read_table(walk->fd, &table, nr, at);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nr; i++)
		if (table[i] & QCOW2_OFFSET)
			count_aligned(walk, table[i] & QCOW2_OFFSET, walk->cluster);
	free(table);
	return 0;
}

static int walk_bitmaps(struct qcow2_walk *walk)
{
	const struct qcow2_header *h = &walk->header;
	uint64_t at = 0;
	uint8_t *dir;
	int r;

	if (!h->has_bitmaps || !count_aligned(walk, h->bitmaps_at, h->bitmaps_len))
		return 0;
	dir = malloc(h->bitmaps_len ? h->bitmaps_len : 1);
	r = dir ? qcow2_bytes_read(walk->fd, dir, h->bitmaps_len, h->bitmaps_at) : -ENOMEM;
	while (!r && range_within(at, QCOW2_BITMAP_HEAD_LEN, h->bitmaps_len)) {
		const uint8_t *entry = dir + at;

		r = walk_bitmap(walk, entry);
		at += align_up((uint64_t)QCOW2_BITMAP_HEAD_LEN +
			       get_be32(entry + QCOW2_BITMAP_EXTRA_LEN) +
			       get_be16(entry + QCOW2_BITMAP_NAME_LEN), 8);
	}
	free(dir);
	return r;
}

int qcow2_walk_content(struct qcow2_walk *walk, struct err *err)
{
	int r;

	count(walk, 0, walk->cluster);
	r = walk_l1(walk, walk->l1, walk->header.nr_l1, true);
	if (!r)
		r = walk_bitmaps(walk);
	for (uint32_t i = 0; i < walk->snapshots.nr && !r; i++)
		r = walk_snapshot(walk, &walk->snapshots.list[i]);
	return r < 0 ? err_sys(err, r, "cannot read '%s'", walk->path) : 0;
}

int qcow2_walk_again(struct qcow2_walk *walk, uint32_t nr, struct err *err)
{
	int r = walk_l1(walk, walk->l1, nr, false);

	return r < 0 ? err_sys(err, r, "cannot read '%s'", walk->path) : 0;
}

int qcow2_walk_data(struct qcow2_walk *walk, struct err *err)
{
	count(walk, walk->header.l1_at, walk->header.nr_l1 * UINT64_C(8));
	if (walk->snapshots.nr)
		count(walk, walk->header.snapshots_at, walk->snapshots.len);
	return qcow2_walk_content(walk, err);
}

uint64_t qcow2_walk_set_flags(struct qcow2_walk *walk)
{
	uint64_t nr_changed = 0;

	for (unsigned i = 0; i < 1U << walk->geo.l2_bits; i++) {
		uint64_t entry = qcow2_map_entry(&walk->geo, walk->table, i);
		uint64_t host = qcow2_map_host(entry);
		uint32_t nr = qcow2_walk_count(walk, host);

		/* What leads beyond the file is left as it is: no flag makes it better. */
		if (!host || !nr || (nr == 1) == !!(entry & QCOW2_COPIED))
			continue;
		qcow2_map_set(&walk->geo, walk->table, i, entry ^ QCOW2_COPIED,
			      qcow2_map_bitmap(&walk->geo, walk->table, i));
		nr_changed++;
	}
	return nr_changed;
}

void qcow2_walk_refcounts(struct qcow2_walk *walk)
{
	uint64_t nr_broken = walk->nr_broken;

	count(walk, walk->header.reftable_at, walk->nr_reftable * 8);
	if (walk->counts[walk->header.reftable_at >> walk->geo.cluster_bits] > 1)
		walk->nr_broken++;
	for (uint64_t i = 0; i < walk->nr_reftable; i++) {
		uint64_t at = walk->reftable[i] & QCOW2_REFTABLE_OFFSET;

		if (walk->reftable[i] != at)
			walk->nr_broken++;
		if (at && count_aligned(walk, at, walk->cluster) &&
		    walk->counts[at >> walk->geo.cluster_bits] > 1)
			walk->nr_broken++;
	}
	walk->broken_refcounts = walk->nr_broken != nr_broken;
}

uint32_t qcow2_walk_count(const struct qcow2_walk *walk, uint64_t host)
{
	uint64_t cluster = host >> walk->geo.cluster_bits;

	return cluster < walk->nr ? walk->counts[cluster] : 0;
}

uint64_t qcow2_walk_block(const struct qcow2_walk *walk, uint64_t index)
{
	uint64_t at = index < walk->nr_reftable ?
		      walk->reftable[index] & QCOW2_REFTABLE_OFFSET : 0;

	return at & (walk->cluster - 1) ||
	       !range_within(at, walk->cluster, walk->nr << walk->geo.cluster_bits) ? 0 : at;
}

static int allocate(struct qcow2_walk *walk)
{
	const struct qcow2_header *h = &walk->header;
	int r = qcow2_bytes_read_table(walk->fd, &walk->l1, h->nr_l1, h->l1_at);

	if (!r)
		r = qcow2_bytes_read_table(walk->fd, &walk->reftable, walk->nr_reftable,
					   h->reftable_at);
	walk->counts = calloc(walk->nr, sizeof(*walk->counts));
	walk->seen = calloc(walk->nr, sizeof(*walk->seen));
	walk->table = malloc(walk->cluster);
	walk->block = malloc(walk->cluster);
	if (!walk->counts || !walk->seen || !walk->table || !walk->block)
		return -ENOMEM;
	return r;
}

/* What refers to something is followed, and then it is compared with the refcounts. */
static void plan_steps(struct qcow2_walk *walk)
{
	walk->nr_tables = walk->header.nr_l1;
	for (uint32_t i = 0; i < walk->snapshots.nr; i++)
		walk->nr_tables += walk->snapshots.list[i].nr_l1;
	walk->nr_to_see = walk->nr_tables + walk->header.nr_l1 +
			  max_u64(walk->nr / walk->per_block + 1, walk->nr_reftable);
}

void qcow2_walk_step(struct qcow2_walk *walk)
{
	walk->nr_seen += walk->nr_seen < walk->nr_to_see;
	if (walk->progress)
		walk->progress->show(walk->progress->ctx, walk->nr_seen * walk->cluster,
				     walk->nr_to_see * walk->cluster);
}

int qcow2_walk_init(struct qcow2_walk *walk, int fd, const char *path,
		    const struct disk_progress *progress, struct err *err)
{
	struct qcow2_header *h = &walk->header;
	off_t end = lseek(fd, 0, SEEK_END);
	int r;

	*walk = (struct qcow2_walk){ .fd = fd, .path = path, .progress = progress };
	if (end < 0)
		return err_sys(err, -errno, "cannot tell the size of '%s'", path);
	r = qcow2_header_read(h, fd, path, (uint64_t)end, err);
	if (r < 0)
		return r;
	walk->cluster = BIT64(h->cluster_bits);
	walk->nr = align_up((uint64_t)end, walk->cluster) >> h->cluster_bits;
	walk->geo.extended = h->incompatible & QCOW2_INCOMPATIBLE_EXTENDED;
	walk->geo.zero_flag = h->version > 2 && !walk->geo.extended;
	walk->geo.cluster_bits = h->cluster_bits;
	walk->geo.l2_bits = h->cluster_bits - (walk->geo.extended ? 4 : 3);
	walk->geo.slice_bits = walk->geo.l2_bits;
	walk->nr_reftable = (uint64_t)h->reftable_clusters << h->cluster_bits >> 3;
	walk->per_block = walk->cluster * 8 >> h->refcount_order;
	if (walk->nr > QCOW2_WALK_CLUSTERS_MAX)
		return err_set(err, -EFBIG, "'%s' has too many clusters to be checked", path);
	r = allocate(walk);
	if (r < 0)
		err_sys(err, r, "cannot check '%s'", path);
	else
		r = qcow2_snapshots_read(&walk->snapshots, h, fd, path, err);
	if (r < 0)
		qcow2_walk_fini(walk);
	else
		plan_steps(walk);
	return r;
}

void qcow2_walk_fini(struct qcow2_walk *walk)
{
	free(walk->counts);
	free(walk->seen);
	free(walk->table);
	free(walk->block);
	free(walk->l1);
	free(walk->reftable);
	qcow2_snapshots_free(&walk->snapshots);
	*walk = (struct qcow2_walk){ 0 };
}
