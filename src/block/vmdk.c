// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk.c - reads a vmdk image.
 *
 * A request is served from its front, a piece at a time, where a piece is what lies
 * in one place.  Whenever it has to wait, for a piece or for a table, it is later
 * taken up where moved says, and finds its way anew: nothing else is remembered, so
 * there is nothing that could have changed meanwhile.
 */
#include "block/vmdk.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/iov.h"
#include "block/format.h"
#include "block/vmdk_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLES_MEMORY	(512 * KiB)	/* the tables of 8 GiB in grains of 64 KiB */
#define GRAINS_MEMORY	(4 * MiB)

/* What step() returns when a callback will go on. */
#define WAITING	1

static uint64_t table_cover(const struct vmdk_sparse *sparse)
{
	return (uint64_t)sparse->grain_len * VMDK_TABLE_ENTRIES;
}

int vmdk_run_find(struct vmdk_run *run, const struct vmdk_extent *extent, const uint8_t *table,
		  uint64_t off, uint64_t max)
{
	const struct vmdk_sparse *sparse = &extent->sparse;
	uint64_t index = off % table_cover(sparse) / sparse->grain_len;
	uint64_t within = off % sparse->grain_len, at = 0, next;
	int r = vmdk_sparse_place(sparse, extent->file, get_le32(table + 4 * index), &at);

	if (r < 0)
		return r;
	run->zeros = !r;
	run->packed = r && sparse->compressed;
	run->at = run->packed ? at : at + within;
	run->len = sparse->grain_len - within;
	while (run->len < max && !run->packed && ++index < VMDK_TABLE_ENTRIES) {
		r = vmdk_sparse_place(sparse, extent->file, get_le32(table + 4 * index), &next);
		if (r < 0 || run->zeros != !r || (r && next != run->at + run->len))
			break;
		run->len += sparse->grain_len;
	}
	run->len = min_u64(run->len, max);
	return 0;
}

static struct vmdk_extent *extent_at(const struct vmdk *v, uint64_t at)
{
	uint32_t low = 0, high = v->nr_extents - 1;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (v->extents[middle].start <= at)
			low = middle;
		else
			high = middle - 1;
	}
	return &v->extents[low];
}

static struct iov memory_of(const struct disk_request *request)
{
	return iov_of(request->segs, request->nr_segs, request->len);
}

static void go_on(struct vmdk_read *read, int res);

static void piece_done(struct file_io *io, int res)
{
	struct vmdk_read *read = container_of(io, struct vmdk_read, io);

	read->moved += io->len;
	go_on(read, res);
}

/* As much of it as the segments of read can describe. */
static int read_piece(struct vmdk_read *read, struct file *file, uint64_t at, uint64_t len)
{
	struct iov memory = memory_of(read->request);
	struct iov piece = iov_cut(&memory, read->moved, len, read->segs,
				   ARRAY_LEN(read->segs));

	read->io = (struct file_io){
		.op = DISK_READ, .nr_segs = piece.nr, .segs = piece.segs,
		.at = at, .len = piece.len, .done = piece_done,
	};
	file_submit(file, read->vmdk->disk->loop, &read->io);
	return WAITING;
}

static void fill_zeros(struct vmdk_read *read, uint64_t len)
{
	struct iov memory = memory_of(read->request);

	iov_zero(&memory, read->moved, len);
	read->moved += len;
}

static int unpack(struct vmdk_read *read, const struct vmdk_extent *extent, uint64_t off,
		  const struct vmdk_run *run)
{
	const struct vmdk_sparse *sparse = &extent->sparse;
	struct iov memory = memory_of(read->request);
	uint64_t within = off % sparse->grain_len;
	const uint8_t *bytes;

	read->waiter.want = (struct vmdk_want){
		.file = extent->file, .at = run->at,
		.len = (uint32_t)min_u64(vmdk_sparse_packed_max(sparse->grain_len),
					 extent->file->size - run->at),
		.sparse = sparse, .lba = (off - within) / VMDK_SECTOR,
	};
	bytes = vmdk_cache_get(&read->vmdk->grains, &read->waiter);
	if (!bytes)
		return WAITING;
	iov_write(&memory, read->moved, bytes + within, run->len);
	read->moved += run->len;
	return 0;
}

static int read_sparse(struct vmdk_read *read, const struct vmdk_extent *extent, uint64_t off,
		       uint64_t len)
{
	const struct vmdk_sparse *sparse = &extent->sparse;
	uint64_t cover = table_cover(sparse);
	uint32_t sector = sparse->tables[off / cover];
	struct vmdk_run run;
	const uint8_t *table;
	int r;

	if (!sector) {
		fill_zeros(read, min_u64(len, cover - off % cover));
		return 0;
	}
	read->waiter.want = (struct vmdk_want){
		.file = extent->file, .at = (uint64_t)sector * VMDK_SECTOR,
		.len = VMDK_TABLE_LEN,
	};
	table = vmdk_cache_get(&read->vmdk->tables, &read->waiter);
	if (!table)
		return WAITING;
	r = vmdk_run_find(&run, extent, table, off, len);
	if (r < 0)
		return r;
	if (run.packed)
		return unpack(read, extent, off, &run);
	if (!run.zeros)
		return read_piece(read, extent->file, run.at, run.len);
	fill_zeros(read, run.len);
	return 0;
}

/* Serve the request as far as possible; 0: all of it, WAITING, or a negative errno. */
static int step(struct vmdk_read *read)
{
	int r = 0;

	while (!r && read->moved < read->request->len) {
		uint64_t at = read->request->at + read->moved;
		const struct vmdk_extent *extent = extent_at(read->vmdk, at);
		uint64_t off = at - extent->start;
		uint64_t len = min_u64(read->request->len - read->moved, extent->len - off);

		if (extent->kind == VMDK_EXTENT_SPARSE)
			r = read_sparse(read, extent, off, len);
		else if (extent->kind == VMDK_EXTENT_FLAT)
			r = read_piece(read, extent->file, extent->at + off, len);
		else
			fill_zeros(read, len);
	}
	return r;
}

static void request_done(struct file_io *io, int res)
{
	disk_format_done(container_of(io, struct disk_request, io), res);
}

/* Never from within a submission. */
static void end(struct vmdk *v, struct disk_request *request, int res)
{
	request->io.done = request_done;
	file_refuse(v->disk->loop, &request->io, res);
}

static void start(struct vmdk *v, struct disk_request *request)
{
	struct vmdk_read *read = v->free;

	v->free = read->next;
	read->request = request;
	read->moved = 0;
	go_on(read, 0);
}

/* Not recursive: what is served at once would come back here, each from the last. */
static void start_waiting(struct vmdk *v)
{
	if (v->starting)
		return;
	v->starting = true;
	while (v->free && v->first) {
		struct disk_request *request = v->first;

		v->first = request->next;
		start(v, request);
	}
	v->starting = false;
}

static void go_on(struct vmdk_read *read, int res)
{
	struct vmdk *v = read->vmdk;

	if (!res)
		res = step(read);
	if (res == WAITING)
		return;
	end(v, read->request, res);
	read->next = v->free;
	v->free = read;
	start_waiting(v);
}

static void want_ready(struct vmdk_waiter *waiter, int res)
{
	go_on(container_of(waiter, struct vmdk_read, waiter), res);
}

static void vmdk_submit(struct disk *disk, struct disk_request *request)
{
	struct vmdk *v = disk->state;

	if (request->op != DISK_READ) {
		end(v, request, 0);	/* a flush, when nothing can have been written */
		return;
	}
	request->next = NULL;
	if (v->first)
		v->last->next = request;
	else
		v->first = request;
	v->last = request;
	start_waiting(v);
}

static int init_caches(struct vmdk *v)
{
	uint32_t grain = 0;
	int r = vmdk_cache_init(&v->tables, v->disk->loop, TABLES_MEMORY, VMDK_TABLE_LEN, 0);

	for (uint32_t i = 0; i < v->nr_extents; i++)
		if (v->extents[i].sparse.compressed)
			grain = (uint32_t)max_u64(grain, v->extents[i].sparse.grain_len);
	if (r < 0 || !grain)
		return r;
	return vmdk_cache_init(&v->grains, v->disk->loop, GRAINS_MEMORY, grain,
			       vmdk_sparse_packed_max(grain));
}

static void free_all(struct vmdk *v)
{
	vmdk_cache_fini(&v->grains);
	vmdk_cache_fini(&v->tables);
	vmdk_close_extents(v);
	free(v);
}

static int check_mode(const struct disk *disk, const char *path, struct err *err)
{
	if (!disk->read_only)
		return err_set(err, -EROFS, "'%s' is a vmdk image, which can only be read: add "
			       "readonly, or overlay=FILE for a file that takes what is "
			       "written", path);
	if (disk->file.direct)
		return err_set(err, -EINVAL, "'%s' is a vmdk image, which cannot be used with "
			       "direct", path);
	return 0;
}

static int vmdk_open(struct disk *disk, const struct disk_config *config, struct err *err)
{
	struct vmdk *v;
	int r = check_mode(disk, config->path, err);

	if (r < 0)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
	v->disk = disk;
	v->path = config->path;
	for (unsigned i = 0; i < VMDK_READS_MAX; i++) {
		v->reads[i].vmdk = v;
		v->reads[i].waiter.ready = want_ready;
		v->reads[i].next = v->free;
		v->free = &v->reads[i];
	}
	r = vmdk_open_extents(v, err);
	if (!r && init_caches(v) < 0)
		r = err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
	disk->state = v;
	if (r < 0 || config->asleep)
		free_all(v);
	return r;
}

/* The table is read each time: for a tool it is in the page cache. */
static int map_sparse(const struct vmdk_extent *x, uint64_t off, struct disk_extent *extent)
{
	uint64_t cover = table_cover(&x->sparse);
	uint64_t at = (uint64_t)x->sparse.tables[off / cover] * VMDK_SECTOR;
	uint8_t table[VMDK_TABLE_LEN];
	struct vmdk_run run;
	int r;

	extent->len = min_u64(extent->len, cover - off % cover);
	if (!at)
		return 0;
	if (pread(x->file->fd, table, sizeof(table), (off_t)at) != sizeof(table))
		return -EIO;
	r = vmdk_run_find(&run, x, table, off, extent->len);
	if (r < 0)
		return r;
	extent->len = run.len;
	if (run.zeros)
		return 0;
	extent->stored = run.packed ? DISK_STORED_COMPRESSED : DISK_STORED_DATA;
	extent->host = run.packed ? 0 : run.at;
	return 0;
}

static int vmdk_map(struct disk *disk, struct disk_extent *extent)
{
	const struct vmdk_extent *x = extent_at(disk->state, extent->at);
	uint64_t off = extent->at - x->start;

	extent->len = min_u64(extent->len, x->len - off);
	if (x->kind == VMDK_EXTENT_SPARSE)
		return map_sparse(x, off, extent);
	if (x->kind == VMDK_EXTENT_FLAT) {
		extent->stored = DISK_STORED_DATA;
		extent->host = x->at + off;
	}
	return 0;
}

static void vmdk_facts(const struct disk *disk, disk_fact *fact, void *ctx)
{
	const struct vmdk *v = disk->state;
	const struct vmdk_sparse *first = &v->extents[0].sparse;

	fact(ctx, "type", vmdk_text_type_name(v->type), 0);
	fact(ctx, "extents", NULL, v->nr_extents);
	if (first->grain_len)
		fact(ctx, "cluster-size", NULL, first->grain_len);
	if (first->compressed)
		fact(ctx, "compression", "zlib", 0);
}

static void vmdk_close(struct disk *disk, struct err *err)
{
	(void)err;
	free_all(disk->state);
}

const struct disk_format disk_format_vmdk = {
	.name = "vmdk",
	.open = vmdk_open,
	.close = vmdk_close,
	.submit = vmdk_submit,
	.map = vmdk_map,
	.facts = vmdk_facts,
};
