// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_header.c - reads the header of a qcow2 image and judges each number in it.
 *
 * Nothing that the file says is used before it was compared with what can be:
 * the cluster size first, as most other bounds follow from it.
 */
#include "block/qcow2_header.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The header and its extensions, while they are read. */
struct head {
	const char *path;
	const uint8_t *bytes;
	size_t len;			/* of the first cluster, as far as it is there */
	const uint8_t *feature_names;
	size_t feature_names_len;
};

static uint64_t cluster_size(const struct qcow2_header *header)
{
	return BIT64(header->cluster_bits);
}

uint64_t qcow2_header_l2_entries(const struct qcow2_header *header)
{
	return cluster_size(header) / (header->incompatible & QCOW2_INCOMPATIBLE_EXTENDED ?
				       16 : 8);
}

uint64_t qcow2_header_l1_entries(const struct qcow2_header *header, uint64_t size)
{
	uint64_t covered = qcow2_header_l2_entries(header) << header->cluster_bits;

	return size / covered + !!(size % covered);
}

/* They count themselves, so their size is found step by step. */
struct qcow2_refcounts qcow2_refcounts_for(const struct qcow2_header *header, uint64_t nr)
{
	uint64_t per_block = cluster_size(header) * 8 >> header->refcount_order;
	uint64_t per_table = cluster_size(header) / 8, before;
	struct qcow2_refcounts need = { .nr = nr };

	do {
		before = need.nr;
		need.nr_blocks = need.nr / per_block + 1;
		need.nr_table = (need.nr_blocks + per_table - 1) / per_table;
		need.nr = nr + need.nr_blocks + need.nr_table;
	} while (need.nr != before);
	return need;
}

static int wrong(const struct head *head, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "'%s' is no usable qcow2 image: %s", head->path, what);
}

static int read_fields(struct qcow2_header *h, const struct head *head, struct err *err)
{
	const uint8_t *b = head->bytes;

	if (head->len < QCOW2_HEADER_LEN_V2 || get_be32(b) != QCOW2_MAGIC)
		return wrong(head, err, "it does not begin with QFI\\xfb");
	h->version = get_be32(b + QCOW2_AT_VERSION);
	if (h->version != 2 && h->version != 3)
		return err_set(err, -ENOTSUP, "'%s' is a qcow2 image of version %u: there are "
			       "2 and 3", head->path, h->version);
	h->cluster_bits = get_be32(b + QCOW2_AT_CLUSTER_BITS);
	h->size = get_be64(b + QCOW2_AT_SIZE);
	h->nr_l1 = get_be32(b + QCOW2_AT_L1_SIZE);
	h->l1_at = get_be64(b + QCOW2_AT_L1_AT);
	h->reftable_at = get_be64(b + QCOW2_AT_REFTABLE_AT);
	h->reftable_clusters = get_be32(b + QCOW2_AT_REFTABLE_CLUSTERS);
	h->nr_snapshots = get_be32(b + QCOW2_AT_NR_SNAPSHOTS);
	h->snapshots_at = get_be64(b + QCOW2_AT_SNAPSHOTS_AT);
	h->refcount_order = QCOW2_REFCOUNT_ORDER_V2;
	h->len = QCOW2_HEADER_LEN_V2;
	if (get_be32(b + QCOW2_AT_CRYPT_METHOD))
		return err_set(err, -ENOTSUP, "'%s' is encrypted, which is not supported: "
			       "convert it with qemu-img", head->path);
	if (h->version == 2)
		return 0;

	if (head->len < QCOW2_HEADER_LEN_V3)
		return wrong(head, err, "it ends within its header");
	h->incompatible = get_be64(b + QCOW2_AT_INCOMPATIBLE);
	h->compatible = get_be64(b + QCOW2_AT_COMPATIBLE);
	h->autoclear = get_be64(b + QCOW2_AT_AUTOCLEAR);
	h->refcount_order = get_be32(b + QCOW2_AT_REFCOUNT_ORDER);
	h->len = get_be32(b + QCOW2_AT_HEADER_LEN);
	return 0;
}

static int check_geometry(struct qcow2_header *h, const struct head *head, struct err *err)
{
	if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN ||
	    h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
		return wrong(head, err, "its clusters are not of 512 bytes to 2 MiB");
	if (h->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
		return wrong(head, err, "its reference counts have more than 64 bits");
	if (h->version == 3 && (h->len < QCOW2_HEADER_LEN_V3 || h->len % 8 ||
				h->len > cluster_size(h) || h->len > head->len))
		return wrong(head, err, "the length of its header is wrong");
	if (h->incompatible & QCOW2_INCOMPATIBLE_EXTENDED &&
	    h->cluster_bits < QCOW2_CLUSTER_BITS_EXTENDED)
		return wrong(head, err, "its clusters are too small to have subclusters");
	if (h->size % QCOW2_SECTOR)
		return wrong(head, err, "its size is no multiple of 512");
	return 0;
}

static bool is_table(const struct qcow2_header *h, uint64_t at, uint64_t len,
		     uint64_t file_len)
{
	return at && !(at & (cluster_size(h) - 1)) &&
	       range_within(at, len, align_up(file_len, cluster_size(h)));
}

static int check_tables(const struct qcow2_header *h, const struct head *head,
			uint64_t file_len, struct err *err)
{
	uint64_t reftable_len = (uint64_t)h->reftable_clusters << h->cluster_bits;

	if (h->nr_l1 > QCOW2_L1_MAX || qcow2_header_l1_entries(h, h->size) > QCOW2_L1_MAX)
		return wrong(head, err, "its L1 table is larger than 32 MiB");
	if (h->nr_l1 < qcow2_header_l1_entries(h, h->size))
		return wrong(head, err, "its L1 table is too small for its size");
	if (h->nr_l1 && !is_table(h, h->l1_at, h->nr_l1 * UINT64_C(8), file_len))
		return wrong(head, err, "its L1 table is not within the file");
	if (!reftable_len)
		return wrong(head, err, "it has no refcount table");
	if (reftable_len > QCOW2_REFTABLE_MAX * 8)
		return wrong(head, err, "its refcount table is larger than 8 MiB");
	if (!is_table(h, h->reftable_at, reftable_len, file_len))
		return wrong(head, err, "its refcount table is not within the file");
	if (h->nr_snapshots > QCOW2_SNAPSHOTS_MAX)
		return wrong(head, err, "it has more than 65536 snapshots");
	if (h->nr_snapshots && !is_table(h, h->snapshots_at, 1, file_len))
		return wrong(head, err, "its snapshot table is not within the file");
	return 0;
}

static int take_bitmaps(struct qcow2_header *h, const struct head *head,
			const uint8_t *data, size_t len, struct err *err)
{
	if (len < 24)
		return wrong(head, err, "its bitmaps extension is too short");
	h->nr_bitmaps = get_be32(data);
	h->bitmaps_len = get_be64(data + 8);
	h->bitmaps_at = get_be64(data + 16);
	h->has_bitmaps = true;
	if (h->nr_bitmaps > QCOW2_BITMAPS_MAX || h->bitmaps_len > QCOW2_BITMAPS_LEN_MAX)
		return wrong(head, err, "it has more than 65535 bitmaps, or 64 MiB of them");
	return 0;
}

static int take_extension(struct qcow2_header *h, struct head *head, uint32_t type,
			  const uint8_t *data, size_t len, struct err *err)
{
	switch (type) {
	case QCOW2_EXT_BACKING_FORMAT:
		if (len >= sizeof(h->backing_format))
			return wrong(head, err, "its backing file's format has too long a name");
		memcpy(h->backing_format, data, len);
		h->backing_format[len] = '\0';
		h->has_backing_format = true;
		return 0;
	case QCOW2_EXT_FEATURE_NAMES:
		head->feature_names = data;
		head->feature_names_len = len;
		return 0;
	case QCOW2_EXT_BITMAPS:
		return take_bitmaps(h, head, data, len, err);
	default:
		return 0;
	}
}

static int read_extensions(struct qcow2_header *h, struct head *head, struct err *err)
{
	uint64_t backing_at = get_be64(head->bytes + QCOW2_AT_BACKING_AT);
	uint64_t end = backing_at ? min_u64(backing_at, head->len) : head->len;
	uint64_t at = h->len;

	/* Version 2 knows no extensions, yet QEMU writes them. */
	while (range_within(at, QCOW2_EXT_HEAD_LEN, end)) {
		uint32_t type = get_be32(head->bytes + at);
		uint32_t len = get_be32(head->bytes + at + 4);
		int r;

		if (type == QCOW2_EXT_END)
			return 0;
		at += QCOW2_EXT_HEAD_LEN;
		if (!range_within(at, len, end))
			return wrong(head, err, "a header extension leaves the first cluster");
		r = take_extension(h, head, type, head->bytes + at, len, err);
		if (r < 0)
			return r;
		at += align_up(len, 8);
	}
	return 0;
}

static int read_backing(struct qcow2_header *h, const struct head *head, struct err *err)
{
	uint64_t at = get_be64(head->bytes + QCOW2_AT_BACKING_AT);
	uint32_t len = get_be32(head->bytes + QCOW2_AT_BACKING_LEN);

	if (!at)
		return 0;
	if (len > QCOW2_BACKING_NAME_MAX || !range_within(at, len, head->len))
		return wrong(head, err, "its backing file's name is not in the first cluster");
	if (!len)
		return 0;
	memcpy(h->backing, head->bytes + at, len);
	if (memchr(h->backing, '\0', len))
		return wrong(head, err, "its backing file's name holds a NUL byte");
	h->has_backing = true;
	return 0;
}

/* What the image itself calls an incompatible feature, or "". */
static void feature_name(const struct head *head, unsigned bit, char *name, size_t name_len)
{
	size_t nr = head->feature_names_len / QCOW2_FEATURE_NAME_LEN;

	name[0] = '\0';
	for (size_t k = 0; k < nr; k++) {
		const uint8_t *row = head->feature_names + k * QCOW2_FEATURE_NAME_LEN;
		size_t len = strnlen((const char *)row + 2, QCOW2_FEATURE_NAME_LEN - 2);

		if (row[0] || row[1] != bit || len >= name_len)
			continue;
		for (size_t i = 0; i < len; i++)
			name[i] = row[2 + i] < ' ' || row[2 + i] > '~' ? '?' : (char)row[2 + i];
		name[len] = '\0';
	}
}

static int check_features(struct qcow2_header *h, const struct head *head, struct err *err)
{
	uint64_t unknown = h->incompatible & ~QCOW2_INCOMPATIBLE_KNOWN;
	char name[QCOW2_FEATURE_NAME_LEN];

	if (unknown) {
		unsigned bit = (unsigned)__builtin_ctzll(unknown);

		feature_name(head, bit, name, sizeof(name));
		return err_set(err, -ENOTSUP, "'%s' uses a qcow2 feature that is not supported: "
			       "%s (incompatible bit %u)", head->path,
			       name[0] ? name : "it has no name", bit);
	}
	if (h->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE)
		return err_set(err, -ENOTSUP, "'%s' keeps its data in an external data file, "
			       "which is not supported: convert it with qemu-img", head->path);
	if (h->version == 3 && h->len > QCOW2_AT_COMPRESSION)
		h->compression = head->bytes[QCOW2_AT_COMPRESSION];
	if (!!h->compression != !!(h->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION))
		return wrong(head, err, "its compression type contradicts its feature bits");
	if (h->compression > QCOW2_COMPRESSION_ZSTD)
		return err_set(err, -ENOTSUP, "'%s' is compressed by method %u, which is not "
			       "supported", head->path, h->compression);
	return 0;
}

static int judge(struct qcow2_header *h, struct head *head, uint64_t file_len,
		 struct err *err)
{
	int r = read_fields(h, head, err);

	if (!r)
		r = check_geometry(h, head, err);
	if (r < 0)
		return r;
	head->len = min_u64(head->len, cluster_size(h));
	r = read_extensions(h, head, err);
	if (!r)
		r = check_features(h, head, err);
	if (!r)
		r = read_backing(h, head, err);
	if (!r)
		r = check_tables(h, head, file_len, err);
	return r;
}

/* The first cluster, as far as its size can be believed. */
static size_t first_len(int fd, uint64_t file_len)
{
	uint8_t bytes[4];
	uint32_t bits;

	if (qcow2_bytes_read(fd, bytes, sizeof(bytes), QCOW2_AT_CLUSTER_BITS) < 0)
		return 0;
	bits = get_be32(bytes);
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		bits = QCOW2_CLUSTER_BITS_MIN;
	return min_u64(file_len, BIT64(bits));
}

int qcow2_header_read(struct qcow2_header *header, int fd, const char *path,
		      uint64_t file_len, struct err *err)
{
	size_t len = first_len(fd, file_len);
	uint8_t *bytes = malloc(len ? len : 1);
	struct head head = { .path = path, .bytes = bytes, .len = len };
	int r;

	if (!bytes)
		return err_sys(err, -ENOMEM, "'%s'", path);
	memset(header, 0, sizeof(*header));
	r = qcow2_bytes_read(fd, bytes, len, 0);
	if (r < 0)
		err_sys(err, r, "cannot read '%s'", path);
	else
		r = judge(header, &head, file_len, err);
	free(bytes);
	return r;
}

int qcow2_header_write_features(const struct qcow2_header *header, int fd)
{
	uint8_t words[24];

	put_be64(words, header->incompatible);
	put_be64(words + 8, header->compatible);
	put_be64(words + 16, header->autoclear);
	return qcow2_bytes_write(fd, words, sizeof(words), QCOW2_AT_INCOMPATIBLE);
}
