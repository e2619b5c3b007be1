// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_rewrite.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int qcow2_rewrite_init(struct qcow2_rewrite *rw, int fd, const char *path,
		       const struct disk_progress *progress, struct err *err)
{
	struct stat st;
	int r;

	*rw = (struct qcow2_rewrite){ 0 };
	r = qcow2_walk_init(&rw->now, fd, path, progress, err);
	if (!r)
		r = qcow2_walk_init(&rw->next, fd, path, progress, err);
	if (r < 0) {
		qcow2_rewrite_fini(rw);
		return r;
	}
	/* Both are one piece of work: the second goes on where the first ends. */
	rw->now.nr_to_see += rw->now.nr_tables;
	rw->next.nr_to_see = rw->now.nr_to_see;
	r = qcow2_walk_data(&rw->now, err);
	rw->next.nr_seen = rw->now.nr_seen;
	if (!r)
		qcow2_walk_refcounts(&rw->now);
	if (!r && (rw->now.nr_broken ||
		   rw->now.header.incompatible & QCOW2_INCOMPATIBLE_CORRUPT))
		r = err_set(err, -EIO, "'%s' is damaged: repair it first, by vmm disk check "
			    "--repair", path);
	if (r < 0)
		qcow2_rewrite_fini(rw);
	else if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		rw->end = (uint64_t)st.st_size;
	return r;
}

void qcow2_rewrite_fini(struct qcow2_rewrite *rw)
{
	if (rw->end)
		(void)!ftruncate(rw->now.fd, (off_t)rw->end);
	qcow2_walk_fini(&rw->now);
	qcow2_walk_fini(&rw->next);
}

/* Space. */

/* Zeros follow what there was; on failure that is as it was. */
static int lengthen(uint32_t **numbers, uint64_t from, uint64_t to)
{
	uint32_t *more = realloc(*numbers, to * sizeof(*more));

	if (!more)
		return -ENOMEM;
	memset(more + from, 0, (to - from) * sizeof(*more));
	*numbers = more;
	return 0;
}

static int extend(struct qcow2_walk *walk, uint64_t nr)
{
	int r = nr > QCOW2_WALK_CLUSTERS_MAX ? -EFBIG : 0;

	if (!r)
		r = lengthen(&walk->counts, walk->nr, nr);
	if (!r)
		r = lengthen(&walk->seen, walk->nr, nr);
	if (!r)
		walk->nr = nr;
	return r;
}

/* nr clusters in a row that the image does not use, and now never again. */
static int take(struct qcow2_rewrite *rw, uint64_t nr, uint64_t *ret_at)
{
	uint64_t run = 0, end = rw->hint;
	int r = 0;

	for (; end < rw->now.nr && run < nr; end++)
		run = rw->now.counts[end] ? 0 : run + 1;
	if (run < nr) {
		end += nr - run;
		r = extend(&rw->now, end);
		if (!r)
			r = extend(&rw->next, end);
	}
	if (r < 0)
		return r;
	for (uint64_t i = end - nr; i < end; i++)
		rw->now.counts[i] = 1;
	if (nr == 1)
		rw->hint = end;
	*ret_at = (end - nr) << rw->now.geo.cluster_bits;
	return 0;
}

int qcow2_rewrite_put(struct qcow2_rewrite *rw, const uint8_t *bytes, uint64_t len,
		      uint64_t *ret_at)
{
	int r = take(rw, len >> rw->now.geo.cluster_bits, ret_at);

	return r ? r : qcow2_bytes_write(rw->now.fd, bytes, len, *ret_at);
}

static void count_table(struct qcow2_rewrite *rw, uint64_t at, uint64_t len)
{
	for (uint64_t end = at + len; at < end; at += rw->next.cluster)
		rw->next.counts[at >> rw->next.geo.cluster_bits] = 1;
}

int qcow2_rewrite_put_l1(struct qcow2_rewrite *rw, uint32_t nr, uint64_t *ret_at)
{
	uint64_t len = align_up(max_u64(nr, 1) * 8, rw->next.cluster);
	uint8_t *bytes = calloc(1, len);
	int r;

	if (!bytes)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		put_be64(bytes + i * UINT64_C(8), rw->next.l1[i]);
	r = qcow2_rewrite_put(rw, bytes, len, ret_at);
	if (!r)
		count_table(rw, *ret_at, len);
	free(bytes);
	return r;
}

/* Counts and flags. */

/* The L2 table at at, to which nr_refs entries refer, with right flags. */
static int set_flags(struct qcow2_rewrite *rw, uint64_t *at, uint32_t nr_refs)
{
	struct qcow2_walk *next = &rw->next;
	unsigned bits = next->geo.cluster_bits;
	uint64_t to;
	int r = qcow2_bytes_read(next->fd, next->table, next->cluster, *at);

	if (r < 0 || !qcow2_walk_set_flags(next))
		return r;
	r = qcow2_rewrite_put(rw, next->table, next->cluster, &to);
	if (r < 0)
		return r;
	next->counts[*at >> bits] -= nr_refs;
	next->counts[to >> bits] = nr_refs;
	*at = to;
	return 0;
}

/* Before anything is written: can the image's refcounts say how often? */
static int check_counts(const struct qcow2_walk *walk, struct err *err)
{
	unsigned order = walk->header.refcount_order;
	uint64_t max = order < QCOW2_REFCOUNT_ORDER_MAX ? BIT64(1U << order) - 1 : UINT64_MAX;

	for (uint64_t i = 0; i < walk->nr; i++)
		if (walk->counts[i] > max)
			return err_set(err, -ERANGE, "'%s' has reference counts of %u bits, "
				       "and cannot share a cluster that often", walk->path,
				       1U << order);
	return 0;
}

int qcow2_rewrite_count(struct qcow2_rewrite *rw, uint32_t nr_shared, struct err *err)
{
	struct qcow2_walk *next = &rw->next;
	int r = qcow2_walk_content(next, err);

	if (!r)
		r = qcow2_walk_again(next, nr_shared, err);
	if (!r)
		r = check_counts(next, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < next->header.nr_l1 && !r; i++) {
		uint64_t at = qcow2_walk_table(next, next->l1[i]);

		qcow2_walk_step(next);
		if (!at)
			continue;
		r = set_flags(rw, &at, i < nr_shared ? 2 : 1);
		next->l1[i] = at | (qcow2_walk_count(next, at) == 1 ? QCOW2_COPIED : 0);
	}
	return r < 0 ? err_sys(err, r, "cannot write '%s'", next->path) : 0;
}

/* Refcounts. */

static int put_block(const struct qcow2_walk *next, uint64_t index, uint64_t at)
{
	unsigned order = next->header.refcount_order;

	for (uint64_t i = 0; i < next->per_block; i++) {
		uint64_t cluster = index * next->per_block + i;
		uint64_t count = cluster < next->nr ? next->counts[cluster] : 0;

		qcow2_bytes_set_refcount(next->block, order, i, count);
	}
	return qcow2_bytes_write(next->fd, next->block, next->cluster, at);
}

/* The table is written last, when all blocks have their place and are counted. */
static int fill_refcounts(struct qcow2_rewrite *rw, uint8_t *table)
{
	struct qcow2_walk *next = &rw->next;
	uint64_t nr_blocks = 0, at;
	int r = 0;

	for (; nr_blocks * next->per_block < next->nr && !r; nr_blocks++) {
		r = take(rw, 1, &at);
		if (r < 0)
			break;
		count_table(rw, at, next->cluster);
		put_be64(table + nr_blocks * 8, at);
	}
	for (uint64_t i = 0; i < nr_blocks && !r; i++) {
		qcow2_walk_step(next);
		r = put_block(next, i, get_be64(table + i * 8));
	}
	return r ? r : qcow2_bytes_write(next->fd, table, (uint64_t)
					 next->header.reftable_clusters * next->cluster,
					 next->header.reftable_at);
}

static int put_refcounts(struct qcow2_rewrite *rw)
{
	struct qcow2_header *h = &rw->next.header;
	uint64_t nr = qcow2_refcounts_for(h, rw->next.nr).nr_table;
	uint64_t len = nr << h->cluster_bits;
	uint8_t *table;
	int r;

	if (len > QCOW2_REFTABLE_MAX * 8)
		return -EFBIG;
	r = take(rw, nr, &h->reftable_at);
	if (r < 0)
		return r;
	count_table(rw, h->reftable_at, len);
	h->reftable_clusters = (uint32_t)nr;
	table = calloc(1, len);
	r = table ? fill_refcounts(rw, table) : -ENOMEM;
	free(table);
	return r;
}

/* The header. */

static int put_snapshots(struct qcow2_rewrite *rw)
{
	const struct qcow2_snapshots *snapshots = &rw->next.snapshots;
	struct qcow2_header *h = &rw->next.header;
	uint64_t len = align_up(snapshots->len, rw->next.cluster);
	uint8_t *bytes;
	int r;

	h->nr_snapshots = snapshots->nr;
	h->snapshots_at = 0;
	if (!snapshots->nr)
		return 0;
	if (snapshots->len > QCOW2_SNAPSHOTS_LEN_MAX)
		return -EFBIG;
	bytes = calloc(1, len);
	if (!bytes)
		return -ENOMEM;
	qcow2_snapshots_encode(snapshots, bytes);
	r = qcow2_rewrite_put(rw, bytes, len, &h->snapshots_at);
	if (!r)
		count_table(rw, h->snapshots_at, len);
	free(bytes);
	return r;
}

/* What we do not keep up is no longer promised. */
static int put_header(const struct qcow2_walk *next)
{
	const struct qcow2_header *h = &next->header;
	uint8_t sector[QCOW2_SECTOR];
	int r = qcow2_bytes_read(next->fd, sector, sizeof(sector), 0);

	if (r < 0)
		return r;
	put_be64(sector + QCOW2_AT_SIZE, h->size);
	put_be32(sector + QCOW2_AT_L1_SIZE, h->nr_l1);
	put_be64(sector + QCOW2_AT_L1_AT, h->l1_at);
	put_be64(sector + QCOW2_AT_REFTABLE_AT, h->reftable_at);
	put_be32(sector + QCOW2_AT_REFTABLE_CLUSTERS, h->reftable_clusters);
	put_be32(sector + QCOW2_AT_NR_SNAPSHOTS, h->nr_snapshots);
	put_be64(sector + QCOW2_AT_SNAPSHOTS_AT, h->snapshots_at);
	if (h->version > 2) {
		put_be64(sector + QCOW2_AT_INCOMPATIBLE,
			 h->incompatible & ~QCOW2_INCOMPATIBLE_DIRTY);
		put_be64(sector + QCOW2_AT_AUTOCLEAR, 0);
	}
	r = qcow2_bytes_write(next->fd, sector, sizeof(sector), 0);
	return r ? r : qcow2_bytes_sync(next->fd);
}

/* Space that only the old image used; the host may refuse it. */
static void give_back(const struct qcow2_rewrite *rw)
{
	const struct qcow2_walk *now = &rw->now, *next = &rw->next;
	uint64_t end = next->nr, len;
	struct stat st;

	while (!next->counts[end - 1])
		end--;
	len = end << next->geo.cluster_bits;
	if (!fstat(next->fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size > len)
		(void)!ftruncate(next->fd, (off_t)len);
	for (uint64_t i = 0, nr; i < end; i += nr ? nr : 1) {
		for (nr = 0; i + nr < end && now->counts[i + nr] && !next->counts[i + nr];)
			nr++;
		if (nr)
			(void)!fallocate(next->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)(i << next->geo.cluster_bits),
					 (off_t)(nr << next->geo.cluster_bits));
	}
}

static int write_all(struct qcow2_rewrite *rw)
{
	struct qcow2_header *h = &rw->next.header;
	int r = qcow2_rewrite_put_l1(rw, h->nr_l1, &h->l1_at);

	if (!r)
		r = put_snapshots(rw);
	if (!r)
		r = put_refcounts(rw);
	if (!r)
		r = qcow2_bytes_sync(rw->next.fd);
	if (r < 0)
		return r;
	rw->end = 0;		/* from here on the header may name what is beyond */
	return put_header(&rw->next);
}

int qcow2_rewrite_commit(struct qcow2_rewrite *rw, struct err *err)
{
	int r = write_all(rw);

	if (r < 0)
		return err_sys(err, r, "cannot write '%s'", rw->next.path);
	give_back(rw);
	return 0;
}
