// SPDX-License-Identifier: Apache-2.0
/*
 * disk.c - opens a disk, and checks each request once, for all formats.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/format.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

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
	return disk->format->open(disk, err);
}

int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return err_sys(err, -ENOMEM, "disk '%s'", config->id);
	disk->loop = loop;
	disk->read_only = config->read_only;
	r = file_open(&disk->file, config->path, config->read_only, err);
	if (r < 0)
		goto no_disk;
	r = open_image(disk, config, err);
	if (r < 0)
		goto no_image;
	*ret_disk = disk;
	return 0;

no_image:
	file_close(&disk->file);
no_disk:
	free(disk);
	return err_at(err, r, "disk '%s'", config->id);
}

struct disk *disk_close(struct disk *disk)
{
	if (!disk)
		return NULL;
	file_close(&disk->file);
	free(disk);
	return NULL;
}

/* 0, or why the request cannot be. */
static int check(const struct disk *disk, const struct disk_request *request)
{
	if (!range_within(request->at, request->len, disk->size) ||
	    (request->at | request->len) & (disk->file.block_size - 1))
		return -EINVAL;
	if (request->op == DISK_WRITE && disk->read_only)
		return -EROFS;
	return 0;
}

static void refused(struct file_io *io, int res)
{
	struct disk_request *request = container_of(io, struct disk_request, io);

	request->done(request, res);
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	int r = check(disk, request);

	assert(loop_here(disk->loop));
	if (r < 0 || (!request->len && request->op != DISK_FLUSH)) {
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
