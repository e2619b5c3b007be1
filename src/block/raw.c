// SPDX-License-Identifier: Apache-2.0
/*
 * raw.c - the disk's bytes are the file's.
 */
#include "block/format.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>

#define SECTOR 512

static int raw_open(struct disk *disk, const struct disk_config *config, struct err *err)
{
	unsigned long long size = disk->file.size;

	if (size % SECTOR)
		return err_set(err, -EINVAL, "the size of '%s', %llu bytes, is no multiple of "
			       "512: truncate -s %%512 rounds it up", config->path, size);
	if (size % disk->file.block_size)
		return err_set(err, -EINVAL, "'%s' cannot be used with direct: its size, %llu "
			       "bytes, is no multiple of %u", config->path, size,
			       disk->file.block_size);
	disk->size = disk->file.size;
	disk->discard_unit = disk->file.hole_unit;
	return 0;
}

static int raw_resize(struct disk *disk, uint64_t size, struct err *err)
{
	int r = file_grow(&disk->file, size, err);

	if (!r)
		disk->size = size;
	return r;
}

static void raw_done(struct file_io *io, int res)
{
	disk_format_done(container_of(io, struct disk_request, io), res);
}

static void raw_submit(struct disk *disk, struct disk_request *request)
{
	struct file_io *io = &request->io;

	io->op = request->op;
	io->durable = request->durable;
	io->unmap = request->unmap;
	io->pad = false;
	io->nr_segs = request->nr_segs;
	io->segs = request->segs;
	io->at = request->at;
	io->len = request->len;
	io->done = raw_done;
	file_submit(&disk->file, disk->loop, io);
}

const struct disk_format disk_format_raw = {
	.name = "raw",
	.open = raw_open,
	.resize = raw_resize,
	.submit = raw_submit,
};
