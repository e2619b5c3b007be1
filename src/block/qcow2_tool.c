// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_tool.c - maps, describes and resizes an image.
 *
 * A disk that outgrows its L1 table gets a new one behind all that is in the file.
 * One write of the header names it and says that the reference counts are wrong;
 * the repair that every opening would then do counts the new table, and gives back
 * the old one.  A power cut leaves the old image, the new one, or one that is
 * repaired when it is next opened.
 */
#include "block/qcow2_tool.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_check.h"
#include "block/qcow2_create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum disk_stored stored_as(enum qcow2_type type)
{
	switch (type) {
	case QCOW2_TYPE_ZERO:
		return DISK_STORED_ZERO;
	case QCOW2_TYPE_DATA:
		return DISK_STORED_DATA;
	case QCOW2_TYPE_COMPRESSED:
		return DISK_STORED_COMPRESSED;
	default:
		return DISK_STORED_NOT;
	}
}

/* Guest bytes from guest on for which there is no table. */
static uint64_t without_table(const struct qcow2 *q, uint64_t guest, uint64_t len)
{
	uint64_t cover = BIT64(q->geo.l2_bits + q->geo.cluster_bits);
	uint64_t found = cover - guest % cover;

	while (found < len && !(q->l1[qcow2_map_l1_index(&q->geo, guest + found)] & QCOW2_OFFSET))
		found += cover;
	return min_u64(found, len);
}

/* What this image itself says. */
static int find_extent(const struct qcow2 *q, uint64_t guest, uint64_t len,
		       struct qcow2_extent *extent)
{
	size_t slice_len = qcow2_map_slice_len(&q->geo);
	uint64_t rest = qcow2_map_slice_rest(&q->geo, guest);
	uint64_t l2 = q->l1[qcow2_map_l1_index(&q->geo, guest)] & QCOW2_OFFSET;
	uint8_t *slice;
	int r;

	*extent = (struct qcow2_extent){ .len = min_u64(len, rest) };
	if (!l2) {
		extent->len = without_table(q, guest, len);
		return 0;
	}
	slice = malloc(slice_len);
	if (!slice)
		return -ENOMEM;
	r = qcow2_bytes_read(q->file->fd, slice, slice_len,
			     l2 + qcow2_map_slice(&q->geo, guest));
	if (!r)
		r = qcow2_map_extent(&q->geo, slice, guest, extent->len, extent);
	free(slice);
	return r;
}

int qcow2_tool_map(struct disk *disk, struct disk_extent *extent)
{
	const struct qcow2 *q = disk->state;
	struct qcow2_extent own;
	int r = find_extent(q, extent->at, extent->len, &own);

	if (r < 0)
		return r;
	extent->len = own.len;
	extent->stored = stored_as(own.type);
	extent->host = own.type == QCOW2_TYPE_DATA ? own.host : 0;
	if (own.type != QCOW2_TYPE_NONE || !q->backing || extent->at >= q->backing->size)
		return 0;
	extent->len = min_u64(extent->len, q->backing->size - extent->at);
	r = q->backing->format->map(q->backing, extent);
	extent->depth++;
	return r;
}

static const char *compression_name(const struct qcow2_header *h)
{
	return h->compression == QCOW2_COMPRESSION_ZSTD ? "zstd" : "zlib";
}

void qcow2_tool_facts(const struct disk *disk, disk_fact *fact, void *ctx)
{
	const struct qcow2_header *h = &((const struct qcow2 *)disk->state)->header;

	fact(ctx, "version", NULL, h->version);
	fact(ctx, "cluster-size", NULL, BIT64(h->cluster_bits));
	fact(ctx, "refcount-bits", NULL, BIT64(h->refcount_order));
	fact(ctx, "compression", compression_name(h), 0);
	if (h->has_backing)
		fact(ctx, "backing-file", h->backing, 0);
	if (h->has_backing_format)
		fact(ctx, "backing-format", h->backing_format, 0);
	fact(ctx, "snapshots", NULL, h->nr_snapshots);
	fact(ctx, "bitmaps", NULL, h->nr_bitmaps);
	fact(ctx, "extended-l2", NULL, !!(h->incompatible & QCOW2_INCOMPATIBLE_EXTENDED));
	fact(ctx, "lazy-refcounts", NULL, !!(h->compatible & QCOW2_COMPATIBLE_LAZY));
	fact(ctx, "dirty", NULL, !!(h->incompatible & QCOW2_INCOMPATIBLE_DIRTY));
	fact(ctx, "corrupt", NULL, !!(h->incompatible & QCOW2_INCOMPATIBLE_CORRUPT));
}

int qcow2_tool_create(int fd, const char *path, const struct disk_create *create,
		      struct err *err)
{
	struct qcow2_create image = {
		.size = create->size,
		.backing = create->backing, .backing_format = create->backing_format,
	};

	if (create->cluster_size && !is_power_of_two(create->cluster_size))
		return err_set(err, -EINVAL, "'%s' cannot have clusters of %u bytes: there are "
			       "powers of two from 512 to 2M", path, create->cluster_size);
	if (create->cluster_size)
		image.cluster_bits = (unsigned)__builtin_ctz(create->cluster_size);
	return qcow2_create(fd, path, &image, err);
}

int qcow2_tool_check(struct disk_check *check, const struct file *file, const char *path,
		     bool repair, struct err *err)
{
	struct qcow2_check found;
	int r = qcow2_check(&found, file->fd, path,
			    repair ? QCOW2_CHECK_FIX_ALL : QCOW2_CHECK_FIX_NONE, err);

	if (r < 0)
		return r;
	*check = (struct disk_check){
		.nr_clusters = found.nr_clusters, .nr_leaks = found.nr_leaks,
		.nr_corruptions = found.nr_corruptions, .nr_fixed = found.nr_fixed,
	};
	return 0;
}

/* The fields from the size on, in the header's first sector, at once. */
static int put_header(struct qcow2 *q, uint64_t size, uint64_t l1_at, uint64_t nr_l1,
		      bool dirty)
{
	uint8_t bytes[QCOW2_HEADER_LEN_V2 + 8];
	size_t len = q->header.version > 2 ? sizeof(bytes) : QCOW2_HEADER_LEN_V2;
	int r = qcow2_bytes_read(q->file->fd, bytes, len, 0);

	if (r < 0)
		return r;
	put_be64(bytes + QCOW2_AT_SIZE, size);
	put_be64(bytes + QCOW2_AT_L1_AT, l1_at);
	put_be32(bytes + QCOW2_AT_L1_SIZE, (uint32_t)nr_l1);
	if (dirty)
		put_be64(bytes + QCOW2_AT_INCOMPATIBLE,
			 q->header.incompatible | QCOW2_INCOMPATIBLE_DIRTY);
	r = qcow2_bytes_write(q->file->fd, bytes, len, 0);
	return r < 0 ? r : qcow2_bytes_sync(q->file->fd);
}

static int put_l1(const struct qcow2 *q, uint64_t at, uint64_t nr_l1)
{
	uint8_t *table = calloc(nr_l1, 8);
	int r;

	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->header.nr_l1; i++)
		put_be64(table + 8 * i, q->l1[i]);
	r = qcow2_bytes_write(q->file->fd, table, nr_l1 * 8, at);
	free(table);
	return r < 0 ? r : qcow2_bytes_sync(q->file->fd);
}

static int move_l1(struct qcow2 *q, uint64_t size, uint64_t nr_l1, const char *path,
		   struct err *err)
{
	uint64_t at = align_up(q->end, q->cluster);
	struct qcow2_check check;
	int r = put_l1(q, at, nr_l1);

	if (!r)
		r = put_header(q, size, at, nr_l1, true);
	if (r < 0)
		return err_sys(err, r, "cannot resize '%s'", path);
	return qcow2_check(&check, q->file->fd, path, QCOW2_CHECK_FIX_ALL, err);
}

static int check_growth(const struct qcow2 *q, uint64_t size, uint64_t nr_l1,
			const char *path, struct err *err)
{
	if (nr_l1 > QCOW2_L1_MAX)
		return err_set(err, -EFBIG, "'%s' cannot become that large with its small "
			       "clusters: convert it", path);
	if (nr_l1 > q->header.nr_l1 && q->header.version < 3)
		return err_set(err, -ENOTSUP, "'%s' is of version 2 and cannot become that "
			       "large: convert it", path);
	if (q->backing && size > q->header.size && q->backing->size > q->header.size)
		return err_set(err, -EINVAL, "'%s' cannot grow: its backing file is larger, "
			       "and would show through", path);
	return 0;
}

int qcow2_tool_set_size(struct disk *disk, uint64_t size, struct err *err)
{
	struct qcow2 *q = disk->state;
	uint64_t nr_l1 = qcow2_header_l1_entries(&q->header, size);
	int r = check_growth(q, size, nr_l1, disk->id, err);

	if (r < 0)
		return r;
	r = qcow2_writeback_all(q);
	if (!r)
		r = qcow2_bytes_sync(q->file->fd);
	if (r < 0)
		return err_sys(err, r, "cannot resize '%s'", disk->id);

	/* What is in memory may soon be wrong: it is not written any more. */
	disk->read_only = true;
	if (nr_l1 > q->header.nr_l1)
		return move_l1(q, size, nr_l1, disk->id, err);
	r = put_header(q, size, q->header.l1_at, q->header.nr_l1, false);
	return r < 0 ? err_sys(err, r, "cannot resize '%s'", disk->id) : 0;
}
