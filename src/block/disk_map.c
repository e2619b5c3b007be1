// SPDX-License-Identifier: Apache-2.0
#include "block/disk_map.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/format.h"

#include <assert.h>

int disk_map(struct disk *disk, uint64_t at, struct disk_extent *ret_extent, struct err *err)
{
	int r;

	assert(at < disk->size);
	*ret_extent = (struct disk_extent){ .at = at, .len = disk->size - at };
	r = disk->format->map(disk, ret_extent);
	if (r < 0)
		return err_sys(err, r, "cannot tell how '%s' is stored at %llu", disk->id,
			       (unsigned long long)at);
	return 0;
}

void disk_map_facts(const struct disk *disk, disk_fact *fact, void *ctx)
{
	if (disk->format->facts)
		disk->format->facts(disk, fact, ctx);
}
