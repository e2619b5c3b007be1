// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_chain.c - empties an image, and has it name another backing file.
 *
 * An image is emptied by zeros in its L1 table.  Whatever part of them is on the disk
 * when the power fails, an entry names its table or none, and where it names none the
 * backing file is seen.  Only then are the clusters counted as free: in between they
 * are lost space.
 *
 * The name of a backing file and where it is cannot always be in one sector, which is
 * what is written at once.  So the header and its extensions are, and the name too if
 * it fits; else it is written first, to where nothing is that counts.
 */
#include "block/qcow2_chain.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_check.h"
#include "block/qcow2_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
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
	int r = qcow2_check(&check, q->file->fd, path, QCOW2_CHECK_FIX_ALL, NULL,
			    err);

	/* What is not known to be free stays as it is. */
	if (r < 0 || check.nr_corruptions || check.nr_leaks)
		return r;
	r = qcow2_walk_init(&walk, q->file->fd, path, NULL, err);
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

/* The first cluster as it is, and its first sector as it is going to be. */
struct head {
	uint8_t *old;
	uint64_t old_end;		/* of the extensions */
	uint8_t sector[QCOW2_SECTOR];
	uint64_t end;			/* of the extensions, in sector */
	uint64_t name_at, name_len;
};

static int add_extension(struct head *head, uint32_t type, const void *data, uint64_t len)
{
	uint64_t whole = QCOW2_EXT_HEAD_LEN + align_up(len, 8);
	uint8_t *to = head->sector + head->end;

	/* One more head: that of the last extension. */
	if (!range_within(head->end, whole + QCOW2_EXT_HEAD_LEN, QCOW2_SECTOR))
		return -ENOBUFS;
	put_be32(to, type);
	put_be32(to + 4, (uint32_t)len);
	if (len)
		memcpy(to + QCOW2_EXT_HEAD_LEN, data, len);
	head->end += whole;
	return 0;
}

/*
 * What is not the format.  Opening has judged it.  Names of features are left out: they
 * take much room, and serve only programs that do not know the features.
 */
static int take_extensions(const struct qcow2 *q, struct head *head)
{
	uint64_t name_at = get_be64(head->old + QCOW2_AT_BACKING_AT);
	uint64_t limit = name_at ? name_at : q->cluster, at = q->header.len;
	int r = 0;

	while (!r && range_within(at, QCOW2_EXT_HEAD_LEN, limit)) {
		uint32_t type = get_be32(head->old + at);
		uint32_t len = get_be32(head->old + at + 4);

		at += QCOW2_EXT_HEAD_LEN;
		if (type == QCOW2_EXT_END)
			break;
		if (type != QCOW2_EXT_BACKING_FORMAT && type != QCOW2_EXT_FEATURE_NAMES)
			r = add_extension(head, type, head->old + at, len);
		at += align_up(len, 8);
	}
	head->old_end = at;
	return r;
}

/* Where the new name is in nobody's way: within the sector, or behind what there is. */
static int place_name(const struct qcow2 *q, struct head *head)
{
	uint64_t old_at = get_be64(head->old + QCOW2_AT_BACKING_AT);
	uint64_t old_len = get_be32(head->old + QCOW2_AT_BACKING_LEN);

	head->name_at = head->end;
	if (range_within(head->name_at, head->name_len, QCOW2_SECTOR))
		return 0;
	head->name_at = max_u64(QCOW2_SECTOR, align_up(head->old_end, 8));
	if (old_at < head->name_at + head->name_len && head->name_at < old_at + old_len)
		head->name_at = align_up(old_at + old_len, 8);
	return range_within(head->name_at, head->name_len, q->cluster) ? 0 : -ENOBUFS;
}

static int make_head(const struct qcow2 *q, struct head *head, const char *backing,
		     const char *format)
{
	int r;

	if (!range_within(q->header.len, QCOW2_EXT_HEAD_LEN, QCOW2_SECTOR))
		return -ENOBUFS;
	memcpy(head->sector, head->old, q->header.len);
	head->end = q->header.len;
	r = backing ? add_extension(head, QCOW2_EXT_BACKING_FORMAT, format,
				    strlen(format)) : 0;
	if (!r)
		r = take_extensions(q, head);
	if (r < 0)
		return r;
	head->end += QCOW2_EXT_HEAD_LEN;	/* the last one is zeros */
	head->name_len = backing ? strlen(backing) : 0;
	r = place_name(q, head);
	put_be64(head->sector + QCOW2_AT_BACKING_AT, backing ? head->name_at : 0);
	put_be32(head->sector + QCOW2_AT_BACKING_LEN, (uint32_t)head->name_len);
	return r;
}

static int write_head(const struct qcow2 *q, struct head *head, const char *backing)
{
	int fd = q->file->fd, r = 0;

	if (backing && head->name_at < QCOW2_SECTOR) {
		memcpy(head->sector + head->name_at, backing, head->name_len);
	} else if (backing) {
		r = qcow2_bytes_write(fd, backing, head->name_len, head->name_at);
		if (!r)
			r = qcow2_bytes_sync(fd);
	}
	if (!r)
		r = qcow2_bytes_write(fd, head->sector, sizeof(head->sector), 0);
	return r < 0 ? r : qcow2_bytes_sync(fd);
}

int qcow2_chain_set_backing(struct disk *disk, const char *backing, const char *format,
			    struct err *err)
{
	struct qcow2 *q = disk->state;
	struct head head = { .old = malloc(q->cluster) };
	int r = head.old ? settle(q) : -ENOMEM;

	if (backing && strlen(backing) > QCOW2_BACKING_NAME_MAX)
		r = -ENAMETOOLONG;
	if (!r)
		r = qcow2_bytes_read(q->file->fd, head.old, q->cluster, 0);
	if (!r)
		r = make_head(q, &head, backing, format);
	if (!r)
		r = write_head(q, &head, backing);
	free(head.old);
	if (r == -ENOBUFS)
		return err_set(err, r, "the header of '%s' has no room for the name of another "
			       "backing file", disk->id);
	return r < 0 ? err_sys(err, r, "cannot write the header of '%s'", disk->id) : 0;
}
