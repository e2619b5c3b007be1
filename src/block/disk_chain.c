// SPDX-License-Identifier: Apache-2.0
#include "block/disk_chain.h"

#include "base/err.h"
#include "block/format.h"

#include <errno.h>

struct disk *disk_chain_backing(const struct disk *disk)
{
	return disk->format->backing ? disk->format->backing(disk) : NULL;
}

int disk_chain_empty(struct disk *disk, struct err *err)
{
	if (!disk->format->empty || disk->read_only)
		return err_set(err, -ENOTSUP, "'%s' cannot be emptied: it can only be read",
			       disk->id);
	return disk->format->empty(disk, err);
}

int disk_chain_set_backing(struct disk *disk, const char *backing, const char *format,
			   struct err *err)
{
	const struct disk_format *found = NULL;
	int r = backing ? disk_format_find(&found, format, backing, err) : 0;

	if (r < 0)
		return r;
	if (!disk->format->set_backing || disk->read_only)
		return err_set(err, -ENOTSUP, "'%s' cannot have a backing file: it is not a "
			       "qcow2 image that can be written", disk->id);
	return disk->format->set_backing(disk, backing, found ? found->name : NULL, err);
}
