// SPDX-License-Identifier: Apache-2.0
/*
 * disk_open.c - opens and closes a disk, and what its device makes of it.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const disk_backing_names[] = {
	[DISK_BACKING_FOLDER] = "folder",
	[DISK_BACKING_ON] = "on",
	[DISK_BACKING_OFF] = "off",
	NULL,
};

/* block_size of 0: the file's own. */
static int choose_block_size(struct disk *disk, uint32_t block_size, const char *name,
			     struct err *err)
{
	uint32_t own = disk->file.block_size;

	if (!block_size)
		block_size = own;
	if (!is_power_of_two(block_size) || block_size < own)
		return err_set(err, -EINVAL, "'%s' has blocks of %u bytes: those of %u cannot "
			       "be made of them", name, own, block_size);
	if (block_size != own && disk->size % block_size)
		return err_set(err, -EINVAL, "the size of '%s', %llu bytes, is no multiple of "
			       "its blocks of %u", name, (unsigned long long)disk->size,
			       block_size);
	disk->block_size = block_size;
	return 0;
}

static void close_format(struct disk *disk, struct err *err)
{
	if (disk->format->close)
		disk->format->close(disk, err);
}

static void start(struct throttle_member *throttle, struct disk_request *request)
{
	struct disk *disk = container_of(throttle, struct disk, throttle);

	disk->format->submit(disk, request);
}

static int open_image(struct disk *disk, const struct disk_config *config, struct err *err)
{
	int r = disk_format_choose(&disk->format, config, &disk->file, err);

	if (r < 0)
		return r;
	if (config->cache == DISK_DIRECT) {
		r = file_set_direct(&disk->file, config->path, err);
		if (r < 0)
			return r;
	}
	r = disk->format->open(disk, config, err);
	if (r < 0)
		return r;
	r = choose_block_size(disk, config->block_size, config->path, err);
	if (r < 0)
		close_format(disk, NULL);
	return r;
}

int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
	disk->id = strdup(config->id ? config->id : config->path);
	if (!disk->id) {
		r = err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
		goto no_id;
	}
	disk->loop = loop;
	disk->read_only = config->read_only;
	disk->cache = config->cache;
	disk->read_error = config->read_error;
	disk->write_error = config->write_error;
	disk->failed = config->failed;
	disk->ctx = config->ctx;
	disk->progress = config->progress;
	disk->throttle.start = start;
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
	return config->overlay || !config->id ? r : err_at(err, r, "disk '%s'", config->id);
}

static void leave_throttle(void *ctx)
{
	disk_set_throttle(ctx, NULL);
}

struct disk *disk_close(struct disk *disk, struct err *err)
{
	struct err why = { 0 };

	if (!disk)
		return NULL;
	/* A disk that was unplugged goes while its loop serves others. */
	if (disk->throttle.group)
		loop_call(disk->loop, leave_throttle, disk);
	close_format(disk, &why);
	if (why.code)
		err_set(err, why.code, "disk '%s': %s", disk->id, why.text);
	file_close(&disk->file);
	free(disk->id);
	free(disk);
	return NULL;
}

/* Use. */

int disk_set_use(struct disk *disk, const struct disk_use *use, struct err *err)
{
	bool plain = disk->cache == DISK_WRITEBACK || disk->cache == DISK_WRITETHROUGH;
	int r;

	if (use->write_through && !plain)
		return err_set(err, -EINVAL, "disk '%s' is open for %s: its writes cannot be "
			       "written through as well", disk->id,
			       disk->cache == DISK_DIRECT ? "direct I/O" : "unsafe writes");
	r = choose_block_size(disk, use->block_size, disk->id, err);
	if (r < 0)
		return r;
	if (plain)
		disk->cache = use->write_through ? DISK_WRITETHROUGH : DISK_WRITEBACK;
	disk->read_error = use->read_error;
	disk->write_error = use->write_error;
	return 0;
}
