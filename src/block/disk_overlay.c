// SPDX-License-Identifier: Apache-2.0
/*
 * disk_overlay.c - opens an image below an overlay, which it makes if need be.
 *
 * That the overlay names its backing file is the user's will, wherever that file is.
 * What the image itself names is not: so the image is first opened alone, by the
 * rule that the user chose for it.
 */
#include "block/disk_overlay.h"

#include "base/err.h"
#include "base/folder.h"
#include "block/disk.h"
#include "block/disk_create.h"
#include "block/format.h"
#include "block/qcow2_header.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the overlay has to know of the image. */
struct base {
	char path[PATH_MAX];		/* absolute */
	const char *format;
	uint64_t size;
};

static int look_at_base(struct base *base, const struct disk_config *config,
			struct loop *loop, struct err *err)
{
	struct disk_config alone = *config;
	struct disk *disk;
	int r;

	alone.read_only = true;
	r = disk_open(&disk, &alone, loop, err);
	if (r < 0)
		return r;
	base->format = disk_format_name(disk);
	base->size = disk_size(disk);
	disk_close(disk, NULL);
	if (!realpath(config->path, base->path))
		return err_sys(err, -errno, "cannot open '%s'", config->path);
	return 0;
}

static int make(int fd, const char *path, const struct base *base, struct err *err)
{
	const struct disk_create create = {
		.format = "qcow2", .size = base->size,
		.backing = base->path, .backing_format = base->format,
	};
	const char *format;
	int r = disk_create(fd, path, &create, &format, err);

	if (!r && fsync(fd) < 0)
		r = err_sys(err, -errno, "cannot create '%s'", path);
	return r;
}

static int make_temporary(const struct base *base, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	int fd, r;

	if (!folder || !*folder)
		folder = "/var/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "cannot make a temporary overlay in '%s' (TMPDIR "
			       "names another folder)", folder);
	r = make(fd, "temporary overlay", base, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* A new overlay appears when it is complete, and never replaces anything. */
static int make_file(const char *path, const struct base *base, struct err *err)
{
	char temporary[PATH_MAX];
	int fd, r;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= PATH_MAX)
		return err_sys(err, -ENAMETOOLONG, "cannot create '%s'", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "cannot create overlay '%s'", path);
	r = make(fd, path, base, err);
	close(fd);
	if (!r && link(temporary, path) < 0)
		r = err_sys(err, -errno, "cannot create overlay '%s'", path);
	unlink(temporary);
	if (!r)
		r = folder_sync(path);
	return r < 0 && !err->code ? err_sys(err, r, "cannot create overlay '%s'", path) : r;
}

static int check_backing(const char *path, const struct qcow2_header *header,
			 const struct base *base, struct err *err)
{
	char backing[PATH_MAX];

	if (header->has_backing && !folder_join(backing, path, header->backing) &&
	    folder_is_same(backing, base->path))
		return 0;
	return err_set(err, -EINVAL, "'%s' is no overlay of '%s', but %s%s: name another file",
		       path, base->path, header->has_backing ? "one of " : "a disk of its own",
		       header->backing);
}

static int check_file(const char *path, const struct base *base, bool asleep, struct err *err)
{
	struct qcow2_header header;
	struct file file;
	int r = asleep ? file_look(&file, path, true, err) : file_open(&file, path, true, err);

	if (r < 0)
		return r;
	r = qcow2_header_read(&header, file.fd, path, file.size, err);
	if (!r)
		r = check_backing(path, &header, base, err);
	file_close(&file);
	return r;
}

static int open_overlay(struct disk **ret_disk, const struct disk_config *config,
			const char *path, struct loop *loop, struct err *err)
{
	struct disk_config above = *config;

	above.path = path;
	above.format = "qcow2";
	above.backing = DISK_BACKING_ON;
	return disk_open(ret_disk, &above, loop, err);
}

static int open_temporary(struct disk **ret_disk, const struct disk_config *config,
			  const struct base *base, struct loop *loop, struct err *err)
{
	char path[32];
	int fd = make_temporary(base, err), r;

	if (fd < 0)
		return err_at(err, fd, "disk '%s'", config->id);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open_overlay(ret_disk, config, path, loop, err);
	close(fd);
	return r;
}

int disk_overlay_open(struct disk **ret_disk, const struct disk_config *config,
		      const char *overlay, struct loop *loop, bool *ret_made, struct err *err)
{
	struct base base;
	struct stat st;
	bool temporary = !strcmp(overlay, DISK_OVERLAY_TEMPORARY);
	int r;

	*ret_made = false;
	if (temporary && config->asleep)
		return err_set(err, -ENOTSUP, "disk '%s': what is in a temporary overlay cannot "
			       "be had from another process", config->id);
	r = look_at_base(&base, config, loop, err);
	if (r < 0)
		return r;
	if (temporary)
		return open_temporary(ret_disk, config, &base, loop, err);
	/* Who else has the disk has made the overlay, or it is not where we look. */
	if (!config->asleep && lstat(overlay, &st)) {
		r = make_file(overlay, &base, err);
		*ret_made = !r;
	} else {
		r = check_file(overlay, &base, config->asleep, err);
	}
	if (r < 0)
		return err_at(err, r, "disk '%s'", config->id);
	return open_overlay(ret_disk, config, overlay, loop, err);
}
