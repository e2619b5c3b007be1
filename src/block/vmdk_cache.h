/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_cache.h - grain tables and unpacked grains, kept for the next who needs them.
 *
 * Who asks for what is not here waits, and then asks again: nobody holds a block
 * across turns of the loop, so any that is not being read can give way.
 *
 * Owner, but for init and fini: main.
 */
#ifndef BLOCK_VMDK_CACHE_H
#define BLOCK_VMDK_CACHE_H

#include "block/file.h"

#include <stddef.h>
#include <stdint.h>

struct vmdk_block;
struct vmdk_sparse;

struct vmdk_cache {
	struct loop *loop;
	uint32_t nr_sets;
	uint32_t len, packed_len;	/* bytes of a block, and of what it is unpacked from */
	uint64_t clock;			/* counts uses */
	struct vmdk_block *blocks;
	uint8_t *memory;		/* of all blocks */
};

/* What is asked for. */
struct vmdk_want {
	struct file *file;
	uint64_t at;			/* bytes */
	uint32_t len;			/* bytes to read */
	const struct vmdk_sparse *sparse;	/* of a compressed grain, else NULL */
	uint64_t lba;			/* of a compressed grain; sectors of the extent */
};

struct vmdk_waiter {
	struct vmdk_want want;

	/* res 0: ask again; else why it cannot be had. */
	void (*ready)(struct vmdk_waiter *waiter, int res);
	struct vmdk_waiter *next;
};

/* packed_len 0: blocks are what is read. */
int vmdk_cache_init(struct vmdk_cache *cache, struct loop *loop, size_t memory, uint32_t len,
		    uint32_t packed_len);
void vmdk_cache_fini(struct vmdk_cache *cache);

/* The block, good until the end of this turn; or NULL, and ready() is called later. */
const uint8_t *vmdk_cache_get(struct vmdk_cache *cache, struct vmdk_waiter *waiter);

#endif
