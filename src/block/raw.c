// SPDX-License-Identifier: Apache-2.0
/*
 * raw.c - the disk's bytes are the file's.
 */
#include "block/format.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What the file system does not tell is taken for data. */
static int raw_map(struct disk *disk, struct disk_extent *extent)
{
	off_t at = (off_t)extent->at, data = lseek(disk->file.fd, at, SEEK_DATA), end;

	if (data < 0 && errno == ENXIO)
		return 0;
	if (data > at) {
		extent->len = min_u64(extent->len, (uint64_t)(data - at));
		return 0;
	}
	extent->stored = DISK_STORED_DATA;
	extent->host = extent->at;
	end = data < 0 ? -1 : lseek(disk->file.fd, at, SEEK_HOLE);
	if (end > at)
		extent->len = min_u64(extent->len, (uint64_t)(end - at));
	return 0;
}

static int raw_create(int fd, const char *path, const struct disk_create *create,
		      struct err *err)
{
	if (ftruncate(fd, (off_t)create->size) < 0)
		return err_sys(err, -errno, "cannot create '%s'", path);
	return 0;
}

static int raw_set_size(struct disk *disk, uint64_t size, struct err *err)
{
	struct stat st;

	if (!fstat(disk->file.fd, &st) && S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "'%s' is a block device, and as large as what it is "
			       "made of: resize that", disk->id);
	if (ftruncate(disk->file.fd, (off_t)size) < 0 || fsync(disk->file.fd) < 0)
		return err_sys(err, -errno, "cannot resize '%s'", disk->id);
	disk->file.size = size;
	return 0;
}

const struct disk_format disk_format_raw = {
	.name = "raw",
	.open = raw_open,
	.resize = raw_resize,
	.submit = raw_submit,
	.map = raw_map,
	.create = raw_create,
	.set_size = raw_set_size,
};
