// SPDX-License-Identifier: Apache-2.0
/*
 * disk_pack.c - writes qcow2 images whose clusters are compressed.
 *
 * Compressed clusters follow each other byte by byte, across the borders of clusters of
 * the file.  One that does not become smaller gets a cluster of its own; what is left
 * free of the cluster before it waits for one that fits.  L2 tables are kept in memory
 * until the end.  Nothing is counted meanwhile: the repair of reference counts, which
 * follows all references, makes the counts at the end.
 */
#include "block/disk_pack.h"

#include "base/bytes.h"
#include "base/err.h"
#include "block/file.h"
#include "block/qcow2_bytes.h"
#include "block/qcow2_check.h"
#include "block/qcow2_header.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define WINDOW_BITS	(-12)	/* raw deflate with the window that the format has */
#define MEMORY_LEVEL	9	/* of deflate: the best */
#define ZSTD_LEVEL	3

struct disk_pack {
	const char *path;
	struct file file;
	struct qcow2_header header;
	uint64_t cluster;		/* bytes */
	uint64_t per_table;		/* entries of an L2 table */

	pthread_mutex_t lock;		/* of all below */
	uint64_t **tables;		/* by entry of the L1 table; NULL: nothing is there */
	uint64_t end;			/* of the file, in whole clusters; bytes */
	uint64_t at;			/* where compressed bytes go on */
};

struct disk_packer {
	struct disk_pack *pack;
	uint8_t *bytes;			/* a cluster */
	z_stream zlib;
	ZSTD_CCtx *zstd;		/* NULL: by zlib */
};

/* Places. */

/* Where len compressed bytes go: on in a cluster, and into the next if it is the last. */
static uint64_t take_bytes(struct disk_pack *pack, uint64_t len)
{
	uint64_t cluster_end = align_up(pack->at, pack->cluster), host;

	if (cluster_end == pack->at ||
	    (len > cluster_end - pack->at && cluster_end != pack->end))
		pack->at = pack->end;
	host = pack->at;
	pack->at += len;
	pack->end = max_u64(pack->end, align_up(pack->at, pack->cluster));
	return host;
}

static uint64_t take_cluster(struct disk_pack *pack)
{
	pack->end += pack->cluster;
	return pack->end - pack->cluster;
}

/* The sectors that follow the first are counted in the entry. */
static uint64_t compressed_entry(const struct disk_pack *pack, uint64_t host, uint64_t len)
{
	unsigned shift = 62 - (pack->header.cluster_bits - 8);
	uint64_t more = (host + len - 1) / QCOW2_SECTOR - host / QCOW2_SECTOR;

	return QCOW2_COMPRESSED | more << shift | host;
}

/* len of a whole cluster: it is not compressed. */
static int place(struct disk_pack *pack, uint64_t at, uint64_t len, uint64_t *ret_host)
{
	uint64_t index = at / pack->cluster;
	uint64_t **table = &pack->tables[index / pack->per_table];
	int r = 0;

	pthread_mutex_lock(&pack->lock);
	if (!*table)
		*table = calloc(pack->per_table, sizeof(**table));
	if (!*table) {
		r = -ENOMEM;
	} else if (len == pack->cluster) {
		*ret_host = take_cluster(pack);
		(*table)[index % pack->per_table] = *ret_host | QCOW2_COPIED;
	} else {
		*ret_host = take_bytes(pack, len);
		(*table)[index % pack->per_table] = compressed_entry(pack, *ret_host, len);
	}
	pthread_mutex_unlock(&pack->lock);
	return r;
}

/* Packers. */

static bool init_zlib(z_stream *stream)
{
	return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS,
			    MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
}

struct disk_packer *disk_packer_new(struct disk_pack *pack)
{
	struct disk_packer *packer = calloc(1, sizeof(*packer));
	bool good;

	if (!packer)
		return NULL;
	packer->pack = pack;
	packer->bytes = malloc(pack->cluster);
	if (pack->header.compression == QCOW2_COMPRESSION_ZSTD)
		good = (packer->zstd = ZSTD_createCCtx());
	else
		good = init_zlib(&packer->zlib);
	return good && packer->bytes ? packer : disk_packer_free(packer);
}

struct disk_packer *disk_packer_free(struct disk_packer *packer)
{
	if (!packer)
		return NULL;
	deflateEnd(&packer->zlib);
	ZSTD_freeCCtx(packer->zstd);
	free(packer->bytes);
	free(packer);
	return NULL;
}

/* Compress a cluster; its length then, or 0: it does not become smaller. */
static uint64_t squeeze(struct disk_packer *packer, const uint8_t *bytes)
{
	uint64_t len = packer->pack->cluster, max = len - 1;
	size_t r;

	if (packer->zstd) {
		r = ZSTD_compressCCtx(packer->zstd, packer->bytes, max, bytes, len, ZSTD_LEVEL);
		return ZSTD_isError(r) ? 0 : r;
	}
	deflateReset(&packer->zlib);
	packer->zlib.next_in = (uint8_t *)(uintptr_t)bytes;
	packer->zlib.avail_in = (uInt)len;
	packer->zlib.next_out = packer->bytes;
	packer->zlib.avail_out = (uInt)max;
	return deflate(&packer->zlib, Z_FINISH) == Z_STREAM_END ? packer->zlib.total_out : 0;
}

int disk_packer_write(struct disk_packer *packer, uint64_t at, const uint8_t *bytes)
{
	struct disk_pack *pack = packer->pack;
	uint64_t len = squeeze(packer, bytes), host;
	int r = place(pack, at, len ? len : pack->cluster, &host);

	if (r < 0)
		return r;
	return qcow2_bytes_write(pack->file.fd, len ? packer->bytes : bytes,
				 len ? len : pack->cluster, host);
}

/* Life of a pack. */

int disk_pack_open(struct disk_pack **ret_pack, const char *path, struct err *err)
{
	struct disk_pack *pack = calloc(1, sizeof(*pack));
	int r;

	if (!pack)
		return err_sys(err, -ENOMEM, "'%s'", path);
	pack->path = path;
	r = file_open(&pack->file, path, false, err);
	if (r < 0)
		goto no_file;
	r = qcow2_header_read(&pack->header, pack->file.fd, path, pack->file.size, err);
	if (r < 0)
		goto no_header;
	pack->cluster = BIT64(pack->header.cluster_bits);
	pack->per_table = qcow2_header_l2_entries(&pack->header);
	pack->end = pack->at = align_up(pack->file.size, pack->cluster);
	pack->tables = calloc(pack->header.nr_l1, sizeof(*pack->tables));
	if (!pack->tables) {
		r = err_sys(err, -ENOMEM, "'%s'", path);
		goto no_header;
	}
	pthread_mutex_init(&pack->lock, NULL);
	*ret_pack = pack;
	return 0;

no_header:
	file_close(&pack->file);
no_file:
	free(pack);
	return r;
}

struct disk_pack *disk_pack_close(struct disk_pack *pack)
{
	if (!pack)
		return NULL;
	for (uint32_t i = 0; i < pack->header.nr_l1; i++)
		free(pack->tables[i]);
	free(pack->tables);
	pthread_mutex_destroy(&pack->lock);
	file_close(&pack->file);
	free(pack);
	return NULL;
}

uint64_t disk_pack_unit(const struct disk_pack *pack)
{
	return pack->cluster;
}

static int write_numbers(const struct disk_pack *pack, uint64_t *numbers, uint64_t nr,
			 uint64_t at)
{
	for (uint64_t i = 0; i < nr; i++)
		put_be64(&numbers[i], numbers[i]);
	return qcow2_bytes_write(pack->file.fd, numbers, nr * sizeof(*numbers), at);
}

static int write_tables(struct disk_pack *pack)
{
	uint64_t *l1 = calloc(pack->header.nr_l1, sizeof(*l1));
	int r = l1 ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < pack->header.nr_l1 && !r; i++) {
		if (!pack->tables[i])
			continue;
		l1[i] = take_cluster(pack) | QCOW2_COPIED;
		r = write_numbers(pack, pack->tables[i], pack->per_table, l1[i] & QCOW2_OFFSET);
	}
	/* The last compressed cluster may end within a sector. */
	if (!r && ftruncate(pack->file.fd, (off_t)pack->end) < 0)
		r = -errno;
	if (!r)
		r = write_numbers(pack, l1, pack->header.nr_l1, pack->header.l1_at);
	free(l1);
	return r;
}

int disk_pack_finish(struct disk_pack *pack, struct err *err)
{
	struct qcow2_check check;
	int r = write_tables(pack);

	if (r < 0)
		return err_sys(err, r, "cannot write '%s'", pack->path);
	r = qcow2_check(&check, pack->file.fd, pack->path, QCOW2_CHECK_FIX_ALL, NULL, err);
	if (!r && check.nr_corruptions)
		r = err_set(err, -EIO, "the tables of '%s' cannot be completed", pack->path);
	return r;
}
