// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk_sparse.c - judges a sparse extent's header, directory and grains.
 *
 * Of a pair of directories the second is used where the first one, or a table that
 * it names, cannot be: that is what the second is there for.
 */
#include "block/vmdk_sparse.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "block/file.h"
#include "block/vmdk_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define GRAIN_MIN	(4 * KiB)
#define GRAIN_MAX	(2 * MiB)
#define TABLES_MAX	(2 * MiB)	/* 64 TiB in grains of 64 KiB */
#define FOOTER_LEN	(3 * VMDK_SECTOR)	/* marker, header, marker of the end */

/* The numbers of the header that are needed while it is judged. */
struct head {
	const struct file *file;
	const char *path;
	uint8_t bytes[VMDK_HEADER_LEN];
	uint32_t flags;
	uint64_t directory, spare;	/* sectors */
	struct err *err;
};

static int wrong(const struct head *head, const char *what)
{
	return err_set(head->err, -EINVAL, "'%s' is no usable vmdk image: %s", head->path, what);
}

static int read_all(const struct head *head, void *bytes, size_t len, uint64_t at)
{
	ssize_t got = pread(head->file->fd, bytes, len, (off_t)at);

	if (got < 0)
		return err_sys(head->err, -errno, "cannot read '%s'", head->path);
	if ((size_t)got != len)
		return wrong(head, "it has become shorter");
	return 0;
}

static bool sectors_within(const struct head *head, uint64_t at, uint64_t len)
{
	return range_within(at, len, head->file->size / VMDK_SECTOR);
}

static int check_magic(const struct head *head)
{
	uint32_t version = get_le32(head->bytes + VMDK_AT_VERSION);

	if (get_le32(head->bytes + VMDK_AT_MAGIC) != VMDK_MAGIC)
		return wrong(head, "it begins neither with KDMV nor like a descriptor");
	if (version < 1 || version > 3)
		return err_set(head->err, -ENOTSUP, "'%s' is a vmdk image of version %u: there "
			       "are 1, 2 and 3", head->path, version);
	return 0;
}

/* A stream is written before it is known where the tables are going to be. */
static int read_footer(struct head *head)
{
	uint8_t footer[FOOTER_LEN];
	const uint8_t *end = footer + 2 * VMDK_SECTOR;
	int r;

	if (head->file->size < VMDK_HEADER_LEN + FOOTER_LEN)
		return wrong(head, "it ends before its footer");
	r = read_all(head, footer, sizeof(footer),
		     align_down(head->file->size, VMDK_SECTOR) - FOOTER_LEN);
	if (r < 0)
		return r;
	if (get_le32(footer + VMDK_MARKER_LEN_AT) ||
	    get_le32(footer + VMDK_MARKER_TYPE_AT) != VMDK_MARKER_FOOTER ||
	    get_le32(end + VMDK_MARKER_LEN_AT) ||
	    get_le32(end + VMDK_MARKER_TYPE_AT) != VMDK_MARKER_END)
		return wrong(head, "its footer is not at its end: was it copied as a whole?");
	memcpy(head->bytes, footer + VMDK_SECTOR, VMDK_HEADER_LEN);
	r = check_magic(head);
	if (!r && get_le64(head->bytes + VMDK_AT_DIRECTORY) == VMDK_DIRECTORY_AT_END)
		r = wrong(head, "its footer does not say where its directory is");
	return r;
}

static int read_head(struct head *head)
{
	int r;

	if (head->file->size < VMDK_HEADER_LEN)
		return wrong(head, "it ends within its header");
	r = read_all(head, head->bytes, VMDK_HEADER_LEN, 0);
	if (!r)
		r = check_magic(head);
	if (!r && get_le64(head->bytes + VMDK_AT_DIRECTORY) == VMDK_DIRECTORY_AT_END)
		r = read_footer(head);
	if (r < 0)
		return r;
	head->flags = get_le32(head->bytes + VMDK_AT_FLAGS);
	head->directory = get_le64(head->bytes + VMDK_AT_DIRECTORY);
	head->spare = get_le64(head->bytes + VMDK_AT_SPARE_DIRECTORY);
	return 0;
}

static int check_features(struct vmdk_sparse *sparse, const struct head *head)
{
	if (head->flags & VMDK_FLAG_LINE_ENDS &&
	    memcmp(head->bytes + VMDK_AT_LINE_ENDS, VMDK_LINE_ENDS, strlen(VMDK_LINE_ENDS)))
		return wrong(head, "it was damaged by being transferred as text");
	sparse->zero_grains = head->flags & VMDK_FLAG_ZERO_GRAINS;
	sparse->compressed = head->flags & VMDK_FLAG_COMPRESSED;
	if (!sparse->compressed)
		return 0;
	if (get_le16(head->bytes + VMDK_AT_COMPRESSION) != VMDK_DEFLATE)
		return err_set(head->err, -ENOTSUP, "'%s' is compressed by method %u, which is "
			       "not supported", head->path,
			       get_le16(head->bytes + VMDK_AT_COMPRESSION));
	if (!(head->flags & VMDK_FLAG_MARKERS))
		return err_set(head->err, -ENOTSUP, "'%s' is compressed without markers, which "
			       "is not supported", head->path);
	return 0;
}

static int check_geometry(struct vmdk_sparse *sparse, const struct head *head)
{
	uint64_t grain = get_le64(head->bytes + VMDK_AT_GRAIN);
	uint64_t covered;		/* by a table, in sectors */

	sparse->sectors = get_le64(head->bytes + VMDK_AT_CAPACITY);
	sparse->overhead = get_le64(head->bytes + VMDK_AT_OVERHEAD);
	if (!is_power_of_two(grain) || grain < GRAIN_MIN / VMDK_SECTOR ||
	    grain > GRAIN_MAX / VMDK_SECTOR)
		return wrong(head, "its grains are not of 4 KiB to 2 MiB");
	sparse->grain_len = (uint32_t)grain * VMDK_SECTOR;
	if (get_le32(head->bytes + VMDK_AT_TABLE_ENTRIES) != VMDK_TABLE_ENTRIES)
		return wrong(head, "its grain tables do not have 512 entries");
	covered = grain * VMDK_TABLE_ENTRIES;
	if (!sparse->sectors || sparse->sectors / covered >= TABLES_MAX)
		return wrong(head, "its size cannot be");
	sparse->nr_tables = (uint32_t)((sparse->sectors + covered - 1) / covered);
	if (!sectors_within(head, sparse->overhead, 0))
		return wrong(head, "its grains begin beyond its end");
	return 0;
}

static int check_text(struct vmdk_sparse *sparse, const struct head *head)
{
	uint64_t at = get_le64(head->bytes + VMDK_AT_TEXT_AT);
	uint64_t len = get_le64(head->bytes + VMDK_AT_TEXT_LEN);

	if (!at || !len)
		return 0;
	if (!sectors_within(head, at, len))
		return wrong(head, "its descriptor is not within the file");
	sparse->text_at = at * VMDK_SECTOR;
	sparse->text_len = len * VMDK_SECTOR;
	return 0;
}

/* Read and judge the directory at a sector. */
static int load(struct vmdk_sparse *sparse, const struct head *head, uint64_t at)
{
	uint64_t len = sparse->nr_tables * sizeof(*sparse->tables);
	int r;

	if (!at || !sectors_within(head, at, (len + VMDK_SECTOR - 1) / VMDK_SECTOR))
		return wrong(head, "its grain directory is not within the file");
	sparse->tables = malloc(len);
	if (!sparse->tables)
		return err_sys(head->err, -ENOMEM, "cannot open '%s'", head->path);
	r = read_all(head, sparse->tables, len, at * VMDK_SECTOR);
	for (uint32_t i = 0; i < sparse->nr_tables && !r; i++) {
		sparse->tables[i] = get_le32(&sparse->tables[i]);
		if (sparse->tables[i] && !sectors_within(head, sparse->tables[i],
							 VMDK_TABLE_LEN / VMDK_SECTOR))
			r = wrong(head, "a grain table is not within the file");
	}
	if (r < 0)
		vmdk_sparse_fini(sparse);
	return r;
}

int vmdk_sparse_open(struct vmdk_sparse *sparse, const struct file *file, const char *path,
		     struct err *err)
{
	struct head head = { .file = file, .path = path, .err = err };
	int r;

	*sparse = (struct vmdk_sparse){ 0 };
	r = read_head(&head);
	if (!r)
		r = check_features(sparse, &head);
	if (!r)
		r = check_geometry(sparse, &head);
	if (!r)
		r = check_text(sparse, &head);
	if (r < 0)
		return r;
	r = load(sparse, &head, head.directory);
	if (r < 0 && head.flags & VMDK_FLAG_SPARE) {
		head.err = NULL;	/* what was wrong with the first is what is told */
		r = load(sparse, &head, head.spare) < 0 ? r : 0;
	}
	return r;
}

void vmdk_sparse_fini(struct vmdk_sparse *sparse)
{
	free(sparse->tables);
	sparse->tables = NULL;
}

int vmdk_sparse_place(const struct vmdk_sparse *sparse, const struct file *file,
		      uint32_t entry, uint64_t *ret_at)
{
	uint64_t len = sparse->compressed ? VMDK_GRAIN_DATA : sparse->grain_len;

	if (!entry || (sparse->zero_grains && entry == VMDK_ZERO_GRAIN))
		return 0;
	*ret_at = (uint64_t)entry * VMDK_SECTOR;
	if (entry < sparse->overhead || !range_within(*ret_at, len, file->size))
		return -EIO;
	return 1;
}

uint32_t vmdk_sparse_packed_max(uint32_t grain_len)
{
	/* Deflate may also make it longer, by a few bytes in each 16 KiB. */
	return (uint32_t)align_up(VMDK_GRAIN_DATA + grain_len + grain_len / 1024, VMDK_SECTOR);
}

int vmdk_sparse_unpack(const struct vmdk_sparse *sparse, uint64_t lba, const uint8_t *from,
		       uint32_t from_len, uint8_t *to)
{
	uint32_t len = get_le32(from + VMDK_GRAIN_LEN);
	uLongf to_len = sparse->grain_len;

	if (get_le64(from + VMDK_GRAIN_LBA) != lba ||
	    !range_within(VMDK_GRAIN_DATA, len, from_len))
		return -EIO;
	if (uncompress(to, &to_len, from + VMDK_GRAIN_DATA, len) != Z_OK)
		return -EIO;
	/* The last grain of a disk may be packed only as far as the disk goes. */
	memset(to + to_len, 0, sparse->grain_len - to_len);
	return 0;
}
