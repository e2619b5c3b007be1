// SPDX-License-Identifier: Apache-2.0
#include "block/disk_create.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/format.h"

#include <errno.h>

#define SECTOR		512
#define SIZE_MAX_BYTES	(BIT64(63) - SECTOR)	/* what an offset in a file can be */

static int check_size(const char *path, uint64_t size, struct err *err)
{
	if (!size || size % SECTOR || size > SIZE_MAX_BYTES)
		return err_set(err, -EINVAL, "'%s' cannot have %llu bytes: the size of a disk "
			       "is a multiple of 512", path, (unsigned long long)size);
	return 0;
}

int disk_create(int fd, const char *path, const struct disk_create *create,
		const char **ret_format, struct err *err)
{
	const struct disk_format *format;
	int r = disk_format_find(&format, create->format, path, err);

	if (r < 0)
		return r;
	if (!format->create)
		return err_set(err, -ENOTSUP, "'%s' cannot be created: %s images can only be "
			       "read", path, format->name);
	*ret_format = format->name;
	r = check_size(path, create->size, err);
	if (!r && format != &disk_format_qcow2 &&
	    (create->cluster_size || create->backing || create->compression))
		r = err_set(err, -EINVAL, "'%s' can have neither clusters nor a backing file "
			    "nor be compressed: it is not qcow2", path);
	return r < 0 ? r : format->create(fd, path, create, err);
}

int disk_create_claim(const char *path, struct err *err)
{
	int r = file_claim(path, err);

	return r == -EBUSY ? err_set(err, r, "'%s' is in use, by a VM, another process or what "
				     "is read here, and is not replaced", path) : r;
}

int disk_create_resize(struct disk *disk, uint64_t size, struct err *err)
{
	int r = check_size(disk->id, size, err);

	if (r < 0)
		return r;
	if (!disk->format->set_size || disk->read_only)
		return err_set(err, -ENOTSUP, "'%s' cannot be resized: it can only be read",
			       disk->id);
	return disk->format->set_size(disk, size, err);
}
