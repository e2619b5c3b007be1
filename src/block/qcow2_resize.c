// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_resize.c - makes an image larger, in use or not.
 *
 * The L1 table was given whole clusters, so it nearly always has room for more
 * entries, and they are zeros: then it takes one write to the header's sector,
 * which holds both the size and the number of entries.  Else a larger table is
 * written before (qcow2_grow.c), and the same write names it.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Are the entries between from and to, which nobody has used yet, zero on disk? */
static int check_room(const struct qcow2 *q, uint64_t from, uint64_t to)
{
	uint64_t per_sector = q->sector / 8;
	void *made;
	uint8_t *sector;
	int r = posix_memalign(&made, q->sector, q->sector) ? -ENOMEM : 0;

	if (r < 0)
		return r;
	sector = made;
	for (uint64_t i = from; i < to && !r; i++) {
		if (i == from || !(i % per_sector))
			r = qcow2_bytes_read(q->file->fd, sector, q->sector, q->header.l1_at +
					     i / per_sector * q->sector);
		if (!r && get_be64(sector + i % per_sector * 8))
			r = -EUCLEAN;
	}
	free(sector);
	return r;
}

/* Memory for nr entries, the new ones zero. */
static int extend_l1(struct qcow2 *q, uint64_t nr)
{
	uint64_t nr_sectors = align_up(nr * 8, q->sector) / q->sector + 1;
	uint64_t had = align_up(q->header.nr_l1 * UINT64_C(8), q->sector) / q->sector + 1;
	uint64_t *l1 = realloc(q->l1, nr * sizeof(*l1));
	uint8_t *dirty;

	if (!l1)
		return -ENOMEM;
	q->l1 = l1;
	dirty = realloc(q->l1_dirty, nr_sectors);
	if (!dirty)
		return -ENOMEM;
	q->l1_dirty = dirty;
	memset(l1 + q->header.nr_l1, 0, (nr - q->header.nr_l1) * sizeof(*l1));
	memset(dirty + had, 0, nr_sectors - had);
	return 0;
}

static int write_header(struct qcow2 *q, uint64_t size, uint64_t nr_l1)
{
	int r;

	put_be64(q->head + QCOW2_AT_SIZE, size);
	put_be32(q->head + QCOW2_AT_L1_SIZE, (uint32_t)nr_l1);
	r = qcow2_bytes_write(q->file->fd, q->head, q->sector, 0);
	if (!r)
		r = qcow2_bytes_sync(q->file->fd);
	if (r < 0)
		q->failed = true;	/* it may have either size */
	return r;
}

/* Whether it can be so large, with nr entries. */
static int check(const struct qcow2 *q, uint64_t nr, struct err *err)
{
	if (q->corrupt || q->failed)
		return err_set(err, -EIO, "the image is damaged");
	if (q->growth.op || q->marking)
		return err_set(err, -EBUSY, "the image is being extended: try again");
	if (q->header.version == 2 && q->header.nr_snapshots)
		return err_set(err, -ENOTSUP, "an image of version 2 with snapshots cannot "
			       "change its size");
	if (q->backing && disk_size(q->backing) > q->header.size)
		return err_set(err, -ENOTSUP, "the image's backing file is larger than it is, "
			       "and would show through in what is new");
	if (nr > QCOW2_L1_MAX)
		return err_set(err, -EFBIG, "the image cannot become that large with its small "
			       "clusters: convert it");
	return 0;
}

int qcow2_resize(struct disk *disk, uint64_t size, struct err *err)
{
	struct qcow2 *q = disk->state;
	uint64_t nr = max_u64(qcow2_header_l1_entries(&q->header, size), q->header.nr_l1);
	uint64_t room = align_up(q->header.nr_l1 * UINT64_C(8), q->cluster) / 8;
	int r = check(q, nr, err);

	if (r < 0)
		return r;
	r = extend_l1(q, nr);
	if (!r)
		r = nr > room ? qcow2_grow_l1(q, nr) : check_room(q, q->header.nr_l1, nr);
	if (!r)
		r = write_header(q, size, nr);
	if (r < 0)
		return err_sys(err, r, "the image cannot be made larger");
	if (nr > room)
		qcow2_grow_l1_named(q);
	q->header.nr_l1 = (uint32_t)nr;
	q->header.size = size;
	disk->size = size;
	return 0;
}
