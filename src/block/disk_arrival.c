// SPDX-License-Identifier: Apache-2.0
#include "block/disk_arrival.h"

#include "base/err.h"
#include "base/folder.h"
#include "block/disk_create.h"
#include "block/format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR		512
#define UNNAMED_MAX	32	/* bytes of "/proc/self/fd/N" */

struct disk_arrival {
	char *path;		/* where it is to be */
	int fd;			/* the file */
	bool format_given;	/* by the user */
	bool made, named;
};

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st) || errno != ENOENT;
}

/* Now, so that where it cannot be made is told before anybody waits for it. */
static int open_unnamed(const char *path, struct err *err)
{
	char folder[PATH_MAX];
	int fd;

	if (snprintf(folder, sizeof(folder), "%s", path) >= PATH_MAX)
		return err_sys(err, -ENAMETOOLONG, "cannot make '%s'", path);
	fd = open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (fd >= 0)
		return fd;
	if (errno == EOPNOTSUPP || errno == EISDIR)
		return err_set(err, -ENOTSUP, "'%s' does not exist, and its file system cannot "
			       "hold a file that has no name yet, as one to be received is: make "
			       "it by 'vmm disk create'", path);
	return err_sys(err, -errno, "'%s' does not exist, and cannot be made", path);
}

static struct disk_arrival *free_arrival(struct disk_arrival *arrival)
{
	if (arrival->fd >= 0)
		close(arrival->fd);
	free(arrival->path);
	free(arrival);
	return NULL;
}

bool disk_arrival_may_begin(const struct disk_config *config)
{
	return config->asleep && !config->read_only && !exists(config->path);
}

int disk_arrival_begin(struct disk *disk, struct err *err)
{
	const struct disk_config *how = &disk->how;
	struct disk_arrival *arrival;
	int r = disk_format_find(&disk->format, how->format, how->path, err);

	if (!r && !disk->format->create)
		r = err_set(err, -ENOTSUP, "'%s' does not exist, and cannot be made: %s images "
			    "can only be read", how->path, disk->format->name);
	if (r < 0)
		return r;
	arrival = calloc(1, sizeof(*arrival));
	if (!arrival)
		return err_sys(err, -ENOMEM, "cannot make '%s'", how->path);
	arrival->format_given = how->format;
	arrival->path = strdup(how->path);
	arrival->fd = arrival->path ? open_unnamed(how->path, err) :
		      err_sys(err, -ENOMEM, "cannot make '%s'", how->path);
	r = arrival->fd;
	if (r < 0) {
		free_arrival(arrival);
		return r;
	}
	disk->file = (struct file){ .fd = -1, .block_size = SECTOR };
	disk->block_size = how->block_size ? how->block_size : SECTOR;
	disk->arrival = arrival;
	return 0;
}

void disk_arrival_end(struct disk *disk)
{
	struct disk_arrival *arrival = disk->arrival;
	struct stat ours, found;

	if (!arrival)
		return;
	if (arrival->named && !fstat(arrival->fd, &ours) && !lstat(arrival->path, &found) &&
	    ours.st_dev == found.st_dev && ours.st_ino == found.st_ino)
		unlink(arrival->path);
	disk->arrival = free_arrival(arrival);
}

bool disk_arrival_is_due(const struct disk *disk)
{
	return disk->arrival && !disk->arrival->made;
}

static int set_path(struct disk *disk, const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	free((char *)disk->how.path);
	disk->how.path = copy;
	return 0;
}

static int make(struct disk *disk, uint64_t size, struct err *err)
{
	struct disk_arrival *arrival = disk->arrival;
	const struct disk_create create = { .format = disk->format->name, .size = size };
	char unnamed[UNNAMED_MAX];
	const char *format;
	int r = disk_create(arrival->fd, arrival->path, &create, &format, err);

	if (r < 0)
		return r;
	arrival->made = true;
	snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", arrival->fd);
	r = set_path(disk, unnamed);
	return r < 0 ? err_sys(err, r, "cannot make '%s'", arrival->path) : 0;
}

/* It is looked at as disk_open() would have. */
static int take(struct disk *disk, struct err *err)
{
	int r;

	if (!disk->arrival->format_given)
		disk->how.format = NULL;
	disk_arrival_end(disk);
	r = disk_format_open_image(disk, err);
	disk->how.format = disk->format->name;
	return r;
}

int disk_arrival_make(struct disk *disk, uint64_t size, struct err *err)
{
	int r;

	if (!disk_arrival_is_due(disk))
		return 0;
	if (exists(disk->arrival->path)) {
		r = take(disk, err);
	} else {
		r = make(disk, size, err);
		if (!r)
			r = disk_format_open_image(disk, err);
	}
	return r < 0 ? err_at(err, r, "disk '%s'", disk->id) : 0;
}

static int give_name(struct disk *disk, struct err *err)
{
	struct disk_arrival *arrival = disk->arrival;
	const char *path = arrival->path;
	int r;

	if (fsync(arrival->fd) < 0)
		return err_sys(err, -errno, "cannot write '%s'", path);
	if (linkat(AT_FDCWD, disk->how.path, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return errno == EEXIST ?
			err_set(err, -EEXIST, "somebody else has made '%s' meanwhile, which is "
				"not replaced", path) :
			err_sys(err, -errno, "cannot make '%s'", path);
	arrival->named = true;
	r = set_path(disk, path);
	if (!r)
		r = folder_sync(path);
	return r < 0 ? err_sys(err, r, "cannot make '%s' durable", path) : 0;
}

int disk_arrival_name(struct disk *disk, struct err *err)
{
	int r;

	assert(loop_here(disk->loop));
	if (!disk->arrival || disk->arrival->named)
		return 0;
	r = disk_flush(disk, err);
	if (r < 0)
		return r;
	r = give_name(disk, err);
	return r < 0 ? err_at(err, r, "disk '%s'", disk->id) : 0;
}

void disk_arrival_keep(struct disk *disk)
{
	if (disk->arrival)
		disk->arrival = free_arrival(disk->arrival);
}
