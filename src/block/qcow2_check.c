// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_check.c - compares what an image counts with what it refers to.
 *
 * A repair brings the counts and flags to what the tables say, never the other
 * way round: data stay where an L2 entry finds them.  It is done as a whole or not
 * begun: what would be left as damaged as before is better left as it was found.
 * Each step leaves an image that is closer to being right: counts are raised before a
 * flag relies on them, and lowered last.  Where the refcounts themselves are damaged,
 * new ones are written and take over at once by one write to the header.
 */
#include "block/qcow2_check.h"

#include "base/err.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_repair.h"
#include "block/qcow2_walk.h"

#include <errno.h>

static int read_block(struct qcow2_walk *walk, uint64_t index, bool *ret_there)
{
	uint64_t at = qcow2_walk_block(walk, index);

	*ret_there = at;
	return at ? qcow2_bytes_read(walk->fd, walk->block, walk->cluster, at) : 0;
}

/* All that one block counts, or would if it were there. */
static int compare_block(struct qcow2_check *check, struct qcow2_walk *walk, uint64_t index)
{
	bool there;
	int r = read_block(walk, index, &there);

	for (uint64_t i = 0; i < walk->per_block && !r; i++) {
		uint64_t cluster = index * walk->per_block + i;
		uint64_t count = cluster < walk->nr ? walk->counts[cluster] : 0;
		uint64_t stored = there ? qcow2_bytes_refcount(walk->block,
							       walk->header.refcount_order, i) : 0;

		check->nr_leaks += stored > count;
		check->nr_corruptions += stored < count;
		check->nr_clusters += count > 0;
		if (stored < count && !there)
			walk->broken_refcounts = true;
	}
	return r;
}

/* Blocks that count what is beyond the file; one that is there twice is broken already. */
static bool is_left_over(const struct qcow2_walk *walk, uint64_t index)
{
	uint64_t at = qcow2_walk_block(walk, index);

	return at && qcow2_walk_count(walk, at) == 1;
}

static int compare(struct qcow2_check *check, struct qcow2_walk *walk)
{
	uint64_t nr_needed = walk->nr / walk->per_block + 1;
	int r = 0;

	for (uint64_t i = 0; i < max_u64(nr_needed, walk->nr_reftable) && !r; i++) {
		qcow2_walk_step(walk);
		if (i < nr_needed || is_left_over(walk, i))
			r = compare_block(check, walk, i);
	}
	return r;
}

/* Is the cluster's own count one? */
static bool stored_one(struct qcow2_walk *walk, uint64_t host, uint64_t *block_now, int *r)
{
	uint64_t cluster = host >> walk->geo.cluster_bits;
	uint64_t block = cluster / walk->per_block;
	bool there = true;

	if (*block_now != block)
		*r = read_block(walk, block, &there);
	*block_now = there ? block : UINT64_MAX;
	return there && !*r && qcow2_bytes_refcount(walk->block, walk->header.refcount_order,
						    cluster % walk->per_block) == 1;
}

static int compare_flags(struct qcow2_check *check, struct qcow2_walk *walk)
{
	uint64_t block = UINT64_MAX;
	int r = 0;

	qcow2_walk_begin(walk);
	for (uint32_t i = 0; i < walk->header.nr_l1 && !r; i++) {
		uint64_t at = qcow2_walk_table(walk, walk->l1[i]);

		qcow2_walk_step(walk);
		if (!at || !qcow2_walk_meets(walk, at))
			continue;
		check->nr_corruptions += stored_one(walk, at, &block, &r) !=
					 !!(walk->l1[i] & QCOW2_COPIED);
		if (!r)
			r = qcow2_bytes_read(walk->fd, walk->table, walk->cluster, at);
		for (unsigned k = 0; k < 1U << walk->geo.l2_bits && !r; k++) {
			uint64_t entry = qcow2_map_entry(&walk->geo, walk->table, k);
			uint64_t host = qcow2_map_host(entry);

			/* What leads beyond the file is broken already. */
			if (host && qcow2_walk_count(walk, host))
				check->nr_corruptions += stored_one(walk, host, &block, &r) !=
							 !!(entry & QCOW2_COPIED);
		}
	}
	return r;
}

static int look(struct qcow2_check *check, struct qcow2_walk *walk)
{
	int r;

	*check = (struct qcow2_check){ .nr_corruptions = walk->nr_broken,
				       .nr_fixed = check->nr_fixed };
	r = compare(check, walk);
	return r ? r : compare_flags(check, walk);
}

/* Refcounts are counted as well, unless they are to be made anew. */
static int count_all(struct qcow2_walk *walk, int fd, const char *path, bool with_refcounts,
		     const struct disk_progress *progress, struct err *err)
{
	int r = qcow2_walk_init(walk, fd, path, progress, err);

	if (r < 0)
		return r;
	r = qcow2_walk_data(walk, err);
	if (r < 0)
		qcow2_walk_fini(walk);
	else if (with_refcounts)
		qcow2_walk_refcounts(walk);
	return r;
}

static int count_again(struct qcow2_walk *walk, bool with_refcounts, struct err *err)
{
	const struct disk_progress *progress = walk->progress;
	const char *path = walk->path;
	int fd = walk->fd;

	qcow2_walk_fini(walk);
	return count_all(walk, fd, path, with_refcounts, progress, err);
}

static int repair(struct qcow2_check *check, struct qcow2_walk *walk,
		  enum qcow2_check_fix fix)
{
	int r = 0;

	if (fix == QCOW2_CHECK_FIX_ALL) {
		r = qcow2_repair_counts(walk, true, &check->nr_fixed);
		if (!r)
			r = qcow2_repair_flags(walk, &check->nr_fixed);
	}
	if (!r)
		r = qcow2_repair_counts(walk, false, &check->nr_fixed);
	if (!r)
		r = look(check, walk);
	if (!r && fix == QCOW2_CHECK_FIX_ALL && !check->nr_corruptions)
		r = qcow2_repair_clear_marks(walk);
	return r;
}

/* Only what can be put right as a whole is written to. */
static int try_repair(struct qcow2_check *check, struct qcow2_walk *walk,
		      enum qcow2_check_fix fix, struct err *err)
{
	bool anew = fix == QCOW2_CHECK_FIX_ALL && walk->broken_refcounts;
	int r = anew ? count_again(walk, false, err) : 0;

	if (r < 0 || !qcow2_repair_is_possible(walk, anew))
		return r;
	if (anew) {
		r = qcow2_repair_rebuild(walk);
		if (r < 0)
			return err_sys(err, r, "cannot write new refcounts into '%s'",
				       walk->path);
		r = count_again(walk, true, err);
		if (r < 0)
			return r;
		check->nr_fixed++;
	}
	r = repair(check, walk, fix);
	return r < 0 ? err_sys(err, r, "cannot repair '%s'", walk->path) : 0;
}

int qcow2_check(struct qcow2_check *check, int fd, const char *path,
		enum qcow2_check_fix fix, const struct disk_progress *progress,
		struct err *err)
{
	struct qcow2_walk walk;
	int r = count_all(&walk, fd, path, true, progress, err);

	if (r < 0)
		return r;
	*check = (struct qcow2_check){ 0 };
	r = look(check, &walk);
	if (r < 0)
		err_sys(err, r, "cannot check '%s'", path);
	else if (fix != QCOW2_CHECK_FIX_NONE)
		r = try_repair(check, &walk, fix, err);
	qcow2_walk_fini(&walk);
	return r;
}
