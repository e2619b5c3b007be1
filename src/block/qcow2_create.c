// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_create.c - lays out a new image: header, refcount table, refcount blocks,
 * L1 table, and when preallocated all L2 tables and then the data, in this order
 * and each in one piece, so that every table follows from where it begins.
 */
#include "block/qcow2_create.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER_BITS_DEFAULT 16

struct layout {
	struct qcow2_header header;
	const struct qcow2_create *create;
	int fd;
	uint8_t *bytes;			/* a cluster */
	uint64_t cluster;		/* bytes */
	uint64_t nr_table, nr_blocks, nr_l1, nr_l2, nr_data, nr;	/* clusters */
};

static int check(const struct qcow2_create *create, const char *path, struct err *err)
{
	unsigned bits = create->cluster_bits;

	if (bits && (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX))
		return err_set(err, -EINVAL, "'%s' cannot have clusters of 2^%u bytes: 512 to "
			       "2M is possible", path, bits);
	if (create->extended && bits && bits < QCOW2_CLUSTER_BITS_EXTENDED)
		return err_set(err, -EINVAL, "'%s' needs clusters of at least 16K to have "
			       "subclusters", path);
	if (create->size % QCOW2_SECTOR)
		return err_set(err, -EINVAL, "the size of '%s', %llu bytes, is no multiple of "
			       "512", path, (unsigned long long)create->size);
	if (create->preallocate && create->backing)
		return err_set(err, -EINVAL, "'%s' cannot be preallocated: that would hide its "
			       "backing file", path);
	return 0;
}

static void plan(struct layout *l)
{
	const struct qcow2_create *create = l->create;
	struct qcow2_header *h = &l->header;
	struct qcow2_refcounts need;

	h->cluster_bits = create->cluster_bits ? create->cluster_bits : CLUSTER_BITS_DEFAULT;
	h->incompatible = create->extended ? QCOW2_INCOMPATIBLE_EXTENDED : 0;
	if (create->compression != QCOW2_COMPRESSION_ZLIB)
		h->incompatible |= QCOW2_INCOMPATIBLE_COMPRESSION;
	h->refcount_order = QCOW2_REFCOUNT_ORDER_V2;
	l->cluster = BIT64(h->cluster_bits);
	h->nr_l1 = (uint32_t)min_u64(max_u64(qcow2_header_l1_entries(h, create->size), 1),
				     UINT32_MAX);
	l->nr_l1 = (h->nr_l1 * UINT64_C(8) + l->cluster - 1) / l->cluster;
	if (create->preallocate) {
		l->nr_l2 = h->nr_l1;
		l->nr_data = (create->size + l->cluster - 1) / l->cluster;
	}
	need = qcow2_refcounts_for(h, 1 + l->nr_l1 + l->nr_l2 + l->nr_data);
	l->nr_blocks = need.nr_blocks;
	l->nr_table = need.nr_table;
	l->nr = need.nr;
}

static uint64_t place(const struct layout *l, uint64_t cluster)
{
	return cluster << l->header.cluster_bits;
}

static int put(struct layout *l, uint64_t cluster)
{
	return qcow2_bytes_write(l->fd, l->bytes, l->cluster, place(l, cluster));
}

/* The extension, and the name behind the last one; -ENAMETOOLONG. */
static int add_backing(struct layout *l, uint64_t at)
{
	const char *name = l->create->backing;
	const char *format = l->create->backing_format;
	size_t len = strlen(name), format_len = strlen(format);
	uint64_t name_at = at + 2 * QCOW2_EXT_HEAD_LEN + align_up(format_len, 8);

	if (len > QCOW2_BACKING_NAME_MAX || format_len >= QCOW2_FORMAT_NAME_MAX ||
	    !range_within(name_at, len, l->cluster))
		return -ENAMETOOLONG;
	put_be32(l->bytes + at, QCOW2_EXT_BACKING_FORMAT);
	put_be32(l->bytes + at + 4, (uint32_t)format_len);
	memcpy(l->bytes + at + QCOW2_EXT_HEAD_LEN, format, format_len);
	memcpy(l->bytes + name_at, name, len);
	put_be64(l->bytes + QCOW2_AT_BACKING_AT, name_at);
	put_be32(l->bytes + QCOW2_AT_BACKING_LEN, (uint32_t)len);
	return 0;
}

static int write_header(struct layout *l)
{
	const struct qcow2_header *h = &l->header;
	uint8_t *b = l->bytes;

	memset(b, 0, l->cluster);
	put_be32(b + QCOW2_AT_MAGIC, QCOW2_MAGIC);
	put_be32(b + QCOW2_AT_VERSION, 3);
	put_be32(b + QCOW2_AT_CLUSTER_BITS, h->cluster_bits);
	put_be64(b + QCOW2_AT_SIZE, l->create->size);
	put_be32(b + QCOW2_AT_L1_SIZE, h->nr_l1);
	put_be64(b + QCOW2_AT_L1_AT, place(l, 1 + l->nr_table + l->nr_blocks));
	put_be64(b + QCOW2_AT_REFTABLE_AT, place(l, 1));
	put_be32(b + QCOW2_AT_REFTABLE_CLUSTERS, (uint32_t)l->nr_table);
	put_be64(b + QCOW2_AT_INCOMPATIBLE, h->incompatible);
	put_be64(b + QCOW2_AT_COMPATIBLE,
		 l->create->lazy_refcounts ? QCOW2_COMPATIBLE_LAZY : 0);
	put_be32(b + QCOW2_AT_REFCOUNT_ORDER, h->refcount_order);
	put_be32(b + QCOW2_AT_HEADER_LEN, QCOW2_HEADER_LEN_COMPRESSION);
	b[QCOW2_AT_COMPRESSION] = (uint8_t)l->create->compression;
	if (l->create->backing) {
		int r = add_backing(l, QCOW2_HEADER_LEN_COMPRESSION);

		if (r < 0)
			return r;
	}
	return put(l, 0);
}

/*
 * A table of 64-bit entries over nr clusters from first on, of which nr_entries
 * name clusters from to on, one after the other.
 */
static int write_table(struct layout *l, uint64_t first, uint64_t nr, uint64_t nr_entries,
		       uint64_t to, uint64_t flags, bool extended)
{
	uint64_t step = extended ? 16 : 8, entry = 0;
	int r = 0;

	for (uint64_t i = 0; i < nr && !r; i++) {
		memset(l->bytes, 0, l->cluster);
		for (uint64_t at = 0; at < l->cluster && entry < nr_entries; at += step) {
			put_be64(l->bytes + at, place(l, to + entry++) | flags);
			if (extended)
				put_be64(l->bytes + at + 8, UINT32_MAX);
		}
		r = put(l, first + i);
	}
	return r;
}

static int write_blocks(struct layout *l)
{
	uint64_t per_block = l->cluster * 8 >> l->header.refcount_order, counted = 0;
	int r = 0;

	for (uint64_t i = 0; i < l->nr_blocks && !r; i++) {
		memset(l->bytes, 0, l->cluster);
		for (uint64_t k = 0; k < per_block && counted < l->nr; k++, counted++)
			qcow2_bytes_set_refcount(l->bytes, l->header.refcount_order, k, 1);
		r = put(l, 1 + l->nr_table + i);
	}
	return r;
}

/* The header last: before it this is no image. */
static int write_all(struct layout *l)
{
	uint64_t blocks = 1 + l->nr_table, l1 = blocks + l->nr_blocks, l2 = l1 + l->nr_l1;
	int r = write_table(l, 1, l->nr_table, l->nr_blocks, blocks, 0, false);

	if (!r)
		r = write_blocks(l);
	if (!r)
		r = write_table(l, l1, l->nr_l1, l->nr_l2, l2, QCOW2_COPIED, false);
	if (!r)
		r = write_table(l, l2, l->nr_l2, l->nr_data, l2 + l->nr_l2, QCOW2_COPIED,
				l->create->extended);
	if (!r && ftruncate(l->fd, (off_t)place(l, l->nr)) < 0)
		r = -errno;
	if (!r)
		r = qcow2_bytes_sync(l->fd);
	if (!r)
		r = write_header(l);
	return r ? r : qcow2_bytes_sync(l->fd);
}

int qcow2_create(int fd, const char *path, const struct qcow2_create *create,
		 struct err *err)
{
	struct layout l = { .create = create, .fd = fd };
	int r = check(create, path, err);

	if (r < 0)
		return r;
	plan(&l);
	if (l.header.nr_l1 > QCOW2_L1_MAX || l.nr_table * l.cluster > QCOW2_REFTABLE_MAX * 8)
		return err_set(err, -EFBIG, "'%s' cannot be that large: larger clusters allow "
			       "more", path);
	l.bytes = malloc(l.cluster);
	r = l.bytes ? write_all(&l) : -ENOMEM;
	free(l.bytes);
	return r < 0 ? err_sys(err, r, "cannot write '%s'", path) : 0;
}
