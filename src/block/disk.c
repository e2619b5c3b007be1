// SPDX-License-Identifier: Apache-2.0
/*
 * disk.c - opens a disk, and checks each request once, for all formats.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "block/format.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int open_image(struct disk *disk, const struct disk_config *config, struct err *err)
{
	int r = disk_format_choose(&disk->format, config, &disk->file, err);

	if (r < 0)
		return r;
	if (config->direct) {
		r = file_set_direct(&disk->file, config->path, err);
		if (r < 0)
			return r;
	}
	return disk->format->open(disk, config, err);
}

int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return err_sys(err, -ENOMEM, "disk '%s'", config->id);
	disk->id = strdup(config->id);
	if (!disk->id) {
		r = err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
		goto no_id;
	}
	disk->loop = loop;
	disk->read_only = config->read_only;
	r = file_open(&disk->file, config->path, config->read_only, err);
	if (r < 0)
		goto no_file;
	r = open_image(disk, config, err);
	if (r < 0)
		goto no_image;
	*ret_disk = disk;
	return 0;

no_image:
	file_close(&disk->file);
no_file:
	free(disk->id);
no_id:
	free(disk);
	return err_at(err, r, "disk '%s'", config->id);
}

struct disk *disk_close(struct disk *disk, struct err *err)
{
	struct err why = { 0 };

	if (!disk)
		return NULL;
	if (disk->format->close)
		disk->format->close(disk, &why);
	if (why.code)
		err_set(err, why.code, "disk '%s': %s", disk->id, why.text);
	file_close(&disk->file);
	free(disk->id);
	free(disk);
	return NULL;
}

/* 0, or why the request cannot be. */
static int check(const struct disk *disk, const struct disk_request *request)
{
	if (!range_within(request->at, request->len, disk->size) ||
	    (request->at | request->len) & (disk->file.block_size - 1))
		return -EINVAL;
	if (request->op != DISK_READ && request->op != DISK_FLUSH && disk->read_only)
		return -EROFS;
	return 0;
}

/* Right, but nothing is to be done for it. */
static bool is_void(const struct disk *disk, const struct disk_request *request)
{
	if (request->op == DISK_DISCARD && !disk->discard_unit)
		return true;
	return !request->len && request->op != DISK_FLUSH;
}

/* One writer, so that no addition has to be atomic. */
static void add(_Atomic(uint64_t) *count, uint64_t more)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

void disk_format_done(struct disk_request *request, int res)
{
	struct disk_count *count = &request->disk->counts[request->op];

	if (res < 0) {
		add(&count->nr_failed, 1);
	} else {
		add(&count->nr, 1);
		add(&count->bytes, request->len);
		add(&count->ns, clock_ns() - request->started);
	}
	request->done(request, res);
}

static void refused(struct file_io *io, int res)
{
	disk_format_done(container_of(io, struct disk_request, io), res);
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	int r = check(disk, request);

	assert(loop_here(disk->loop));
	request->disk = disk;
	request->started = clock_ns();
	if (r < 0 || is_void(disk, request)) {
		request->io.done = refused;
		file_refuse(disk->loop, &request->io, r);
		return;
	}
	disk->format->submit(disk, request);
}

uint64_t disk_size(const struct disk *disk)
{
	return disk->size;
}

uint32_t disk_block_size(const struct disk *disk)
{
	return disk->file.block_size;
}

bool disk_read_only(const struct disk *disk)
{
	return disk->read_only;
}

const char *disk_format_name(const struct disk *disk)
{
	return disk->format->name;
}

uint32_t disk_discard_unit(const struct disk *disk)
{
	return disk->discard_unit;
}

uint64_t disk_allocated(const struct disk *disk)
{
	struct stat st;

	return fstat(disk->file.fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

struct disk_counter disk_counter(const struct disk *disk, enum disk_op op)
{
	const struct disk_count *count = &disk->counts[op];

	return (struct disk_counter){ count->nr, count->bytes, count->ns, count->nr_failed };
}
