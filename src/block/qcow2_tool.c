// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_tool.h"

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
		.compression = create->compression == DISK_COMPRESSION_ZSTD ?
			QCOW2_COMPRESSION_ZSTD : QCOW2_COMPRESSION_ZLIB,
	};

	if (create->cluster_size && !is_power_of_two(create->cluster_size))
		return err_set(err, -EINVAL, "'%s' cannot have clusters of %u bytes: there are "
			       "powers of two from 512 to 2M", path, create->cluster_size);
	if (create->cluster_size)
		image.cluster_bits = (unsigned)__builtin_ctz(create->cluster_size);
	return qcow2_create(fd, path, &image, err);
}

int qcow2_tool_check(struct disk_check *check, const struct file *file,
		     const struct disk_config *config, bool repair, struct err *err)
{
	struct qcow2_check found;
	int r = qcow2_check(&found, file->fd, config->path,
			    repair ? QCOW2_CHECK_FIX_ALL : QCOW2_CHECK_FIX_NONE,
			    config->progress, err);

	if (r < 0)
		return r;
	*check = (struct disk_check){
		.nr_clusters = found.nr_clusters, .nr_leaks = found.nr_leaks,
		.nr_corruptions = found.nr_corruptions, .nr_fixed = found.nr_fixed,
	};
	return 0;
}

int qcow2_tool_set_size(struct disk *disk, uint64_t size, struct err *err)
{
	int r;

	if (size < disk->size)
		return qcow2_tool_shrink(disk, size, err);
	r = qcow2_resize(disk, size, err);
	return r < 0 ? err_at(err, r, "'%s'", disk->id) : 0;
}
