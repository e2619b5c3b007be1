// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_chain.c - gives up what an image holds, in favour of its backing file.
 *
 * An image is emptied by zeros in its L1 table.  Whatever part of them is on the disk
 * when the power fails, an entry names its table or none, and where it names none the
 * backing file is seen.  Only then are the clusters counted as free: in between they
 * are lost space.
 */
#include "block/qcow2_chain.h"

#include "base/err.h"
#include "block/qcow2.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_check.h"
#include "block/qcow2_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

struct disk *qcow2_chain_backing(const struct disk *disk)
{
	return ((const struct qcow2 *)disk->state)->backing;
}

/* What is in memory goes to the disk, and is not written any more. */
static int settle(struct qcow2 *q)
{
	int r = qcow2_writeback_all(q);

	q->disk->read_only = true;
	return r < 0 ? r : qcow2_bytes_sync(q->file->fd);
}

static int clear_l1(const struct qcow2 *q)
{
	size_t len = q->header.nr_l1 * UINT64_C(8);
	void *zeros = calloc(1, len ? len : 1);
	int r;

	if (!zeros)
		return -ENOMEM;
	r = qcow2_bytes_write(q->file->fd, zeros, len, q->header.l1_at);
	free(zeros);
	return r < 0 ? r : qcow2_bytes_sync(q->file->fd);
}

/* Holes that cannot be made are no harm. */
static void punch(const struct qcow2_walk *walk, uint64_t from, uint64_t to)
{
	(void)!fallocate(walk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(from << walk->geo.cluster_bits),
			 (off_t)((to - from) << walk->geo.cluster_bits));
}

/* What is free becomes holes, and the file ends with what is not. */
static int give_back(const struct qcow2_walk *walk)
{
	uint64_t end = 0;

	for (uint64_t i = 0; i < walk->nr; i++) {
		if (!walk->counts[i])
			continue;
		if (i > end)
			punch(walk, end, i);
		end = i + 1;
	}
	if (end < walk->nr)
		(void)!ftruncate(walk->fd, (off_t)(end << walk->geo.cluster_bits));
	return qcow2_bytes_sync(walk->fd);
}

static int free_clusters(const struct qcow2 *q, const char *path, struct err *err)
{
	struct qcow2_check check;
	struct qcow2_walk walk;
	int r = qcow2_check(&check, q->file->fd, path, QCOW2_CHECK_FIX_ALL, err);

	/* What is not known to be free stays as it is. */
	if (r < 0 || check.nr_corruptions || check.nr_leaks)
		return r;
	r = qcow2_walk_init(&walk, q->file->fd, path, err);
	if (r < 0)
		return r;
	r = qcow2_walk_data(&walk, err);
	if (!r) {
		qcow2_walk_refcounts(&walk);
		r = give_back(&walk);
		if (r < 0)
			err_sys(err, r, "cannot shorten '%s'", path);
	}
	qcow2_walk_fini(&walk);
	return r;
}

int qcow2_chain_empty(struct disk *disk, struct err *err)
{
	struct qcow2 *q = disk->state;
	int r = settle(q);

	if (!r)
		r = clear_l1(q);
	if (r < 0)
		return err_sys(err, r, "cannot empty '%s'", disk->id);
	return free_clusters(q, disk->id, err);
}
