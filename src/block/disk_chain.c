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
