// SPDX-License-Identifier: Apache-2.0
/*
 * disk_open.c - opens and closes a disk, hands it over, and what its device makes of it.
 */
#include "block/disk.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_arrival.h"
#include "block/disk_chain.h"
#include "block/format.h"

#include <assert.h>
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

static void start(struct throttle_member *throttle, struct disk_request *request)
{
	struct disk *disk = container_of(throttle, struct disk, throttle);

	disk->format->submit(disk, request);
}

/* The image and its file. */

static int open_format(struct disk *disk, struct err *err)
{
	const struct disk_config *how = &disk->how;
	int r = disk_format_choose(&disk->format, how, &disk->file, err);

	if (r < 0)
		return r;
	if (how->cache == DISK_DIRECT) {
		r = file_set_direct(&disk->file, how->path, err);
		if (r < 0)
			return r;
	}
	return disk->format->open(disk, how, err);
}

static void close_image(struct disk *disk, struct err *err)
{
	if (!disk->how.asleep && disk->format->close)
		disk->format->close(disk, err);
	disk->state = NULL;
	file_close(&disk->file);
}

/* Asked before the format opens the file, which may write it, too. */
static int check_mark(const struct disk *disk, struct err *err)
{
	const struct disk_mark *then = &disk->mark;
	struct disk_mark now;
	uint64_t inode;

	if (!then->known)
		return 0;
	now = file_mark(disk->how.path, &inode);
	if (now.known && now.size == then->size && now.mtime == then->mtime &&
	    (!disk->inode || inode == disk->inode))
		return 0;
	return err_set(err, -ESTALE, "'%s' was written or replaced since by somebody else, so "
		       "memory and disk do not go together", disk->how.path);
}

int disk_format_open_image(struct disk *disk, struct err *err)
{
	const struct disk_config *how = &disk->how;
	int r = how->asleep ? file_look(&disk->file, how->path, how->read_only, err) :
			      file_open(&disk->file, how->path, how->read_only, err);

	if (r < 0)
		return r;
	if (disk->format)	/* it was open before */
		file_forget(&disk->file);
	r = check_mark(disk, err);
	if (!r)
		r = open_format(disk, err);
	if (r < 0) {
		file_close(&disk->file);
		return r;
	}
	r = choose_block_size(disk, how->block_size, how->path, err);
	if (r < 0 || how->asleep)
		close_image(disk, NULL);
	return r;
}

/* The disk. */

static void free_disk(struct disk *disk)
{
	free((char *)disk->how.path);
	free(disk->id);
	free(disk);
}

/* What the guest of a raw disk has written since must not be taken for another format. */
static void remember(struct disk *disk)
{
	disk->how.format = disk->format->name;
	disk->how.overlay = NULL;
}

int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r;

	if (!disk)
		return err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
	disk->id = strdup(config->id ? config->id : config->path);
	disk->how = *config;
	disk->how.path = strdup(config->path);
	disk->loop = loop;
	disk->read_only = config->read_only;
	disk->cache = config->cache;
	disk->read_error = config->read_error;
	disk->write_error = config->write_error;
	disk->failed = config->failed;
	disk->ctx = config->ctx;
	disk->progress = config->progress;
	disk->throttle.start = start;
	if (!disk->id || !disk->how.path)
		r = err_sys(err, -ENOMEM, "cannot open '%s'", config->path);
	else if (disk_arrival_may_begin(config))
		r = disk_arrival_begin(disk, err);
	else
		r = disk_format_open_image(disk, err);
	if (r < 0) {
		free_disk(disk);
		return config->overlay || !config->id ? r :
		       err_at(err, r, "disk '%s'", config->id);
	}
	remember(disk);
	*ret_disk = disk;
	return 0;
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
	if (!disk->how.asleep)
		close_image(disk, &why);
	if (why.code)
		err_set(err, why.code, "disk '%s': %s", disk->id, why.text);
	disk_arrival_end(disk);
	free_disk(disk);
	return NULL;
}

/* Flushing, by whoever has a disk open. */

struct flush {
	struct disk_request request;
	bool done;
	int result;
};

static void flushed(struct disk_request *request, int result)
{
	struct flush *flush = container_of(request, struct flush, request);

	flush->done = true;
	flush->result = result;
}

static bool is_flushed(void *ctx)
{
	const struct flush *flush = ctx;

	return flush->done;
}

/* Whatever the cache is: what is unsafe here would be wrong elsewhere. */
int disk_flush(struct disk *disk, struct err *err)
{
	struct flush flush = {
		.request = { .op = DISK_FLUSH, .disk = disk, .done = flushed },
	};

	assert(loop_here(disk->loop));
	if (!disk->written || disk->how.asleep)
		return 0;
	disk->format->submit(disk, &flush.request);
	loop_wait(disk->loop, is_flushed, &flush);
	return flush.result < 0 ? err_sys(err, flush.result, "disk '%s': cannot flush it",
					  disk->id) : 0;
}

/* Handing over. */

/* A file that was renamed or deleted cannot be had again. */
static int check_paths(const struct disk *disk, struct err *err)
{
	for (; disk; disk = disk_chain_backing(disk))
		if (!file_is_at(&disk->file, disk->how.path))
			return err_set(err, -ENOENT, "'%s' is not the file that is in use: it "
				       "could not be opened again", disk->how.path);
	return 0;
}

/* Not before the file is closed: that may be when a network file system writes it. */
static void note_mark(struct disk *disk)
{
	disk->mark = (struct disk_mark){ 0 };
	if (!disk->read_only)
		disk->mark = file_mark(disk->how.path, &disk->inode);
}

int disk_sleep(struct disk *disk, struct err *err)
{
	struct err why = { 0 };
	int r;

	assert(loop_here(disk->loop));
	if (disk->how.asleep)
		return 0;
	r = check_paths(disk, err);
	if (r < 0)
		return err_at(err, r, "disk '%s'", disk->id);
	r = disk_flush(disk, err);
	if (r < 0)
		return r;
	close_image(disk, &why);
	note_mark(disk);
	disk->how.asleep = true;
	if (!why.code)
		return 0;
	(void)disk_wake(disk, NULL);
	return err_set(err, why.code, "disk '%s': %s", disk->id, why.text);
}

static int check_size(const struct disk *disk, uint64_t size, struct err *err)
{
	if (disk->size == size)
		return 0;
	return err_set(err, -EINVAL, "'%s' has %llu bytes now, and had %llu before",
		       disk->how.path, (unsigned long long)disk->size,
		       (unsigned long long)size);
}

int disk_wake(struct disk *disk, struct err *err)
{
	const struct file file = disk->file;
	uint32_t discard_unit = disk->discard_unit;
	uint64_t size = disk->size;
	int r;

	assert(loop_here(disk->loop));
	if (!disk->how.asleep)
		return 0;
	disk->how.asleep = false;
	disk->how.block_size = disk->block_size;
	disk->written = false;
	r = disk_format_open_image(disk, err);
	if (!r) {
		r = check_size(disk, size, err);
		if (r < 0)
			close_image(disk, NULL);
	}
	if (!r) {
		disk->mark.known = false;
		return 0;
	}
	disk->how.asleep = true;
	disk->file = file;
	disk->discard_unit = discard_unit;
	disk->size = size;
	return err_at(err, r, "disk '%s'", disk->id);
}

struct disk_mark disk_mark(const struct disk *disk)
{
	return disk->mark;
}

void disk_expect(struct disk *disk, const struct disk_mark *mark)
{
	assert(loop_here(disk->loop));
	if (!disk->how.asleep)
		return;
	disk->mark = *mark;
	disk->inode = 0;
}

struct disk_identity disk_identity(const struct disk *disk)
{
	return file_identity(&disk->file, disk->how.path);
}

bool disk_identity_differs(const struct disk_identity *one, const struct disk_identity *other)
{
	return one->inode && other->inode && one->file_system == other->file_system &&
	       one->inode != other->inode;
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
