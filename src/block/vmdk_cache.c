// SPDX-License-Identifier: Apache-2.0
#include "block/vmdk_cache.h"

#include "base/bits.h"
#include "block/vmdk_sparse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WAYS	4	/* blocks among which one with a given place is sought */

enum state {
	EMPTY,
	LOADING,
	READY,
};

struct vmdk_block {
	struct vmdk_cache *cache;
	enum state state;
	struct vmdk_want want;		/* what it holds or will hold */
	uint64_t used;			/* when, by the cache's clock */
	uint8_t *bytes, *packed;
	struct iovec seg;
	struct file_io io;
	struct vmdk_waiter *waiting;
};

int vmdk_cache_init(struct vmdk_cache *cache, struct loop *loop, size_t memory, uint32_t len,
		    uint32_t packed_len)
{
	size_t each = len + packed_len;
	uint32_t nr_sets = (uint32_t)max_u64(memory / each / WAYS, 1);

	*cache = (struct vmdk_cache){
		.loop = loop, .nr_sets = nr_sets, .len = len, .packed_len = packed_len,
	};
	cache->blocks = calloc((size_t)nr_sets * WAYS, sizeof(*cache->blocks));
	cache->memory = malloc(nr_sets * WAYS * each);
	if (!cache->blocks || !cache->memory) {
		vmdk_cache_fini(cache);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nr_sets * WAYS; i++) {
		struct vmdk_block *block = &cache->blocks[i];

		block->cache = cache;
		block->bytes = cache->memory + i * each;
		block->packed = block->bytes + len;
	}
	return 0;
}

void vmdk_cache_fini(struct vmdk_cache *cache)
{
	free(cache->blocks);
	free(cache->memory);
	*cache = (struct vmdk_cache){ 0 };
}

static bool same(const struct vmdk_want *a, const struct vmdk_want *b)
{
	return a->file == b->file && a->at == b->at && a->lba == b->lba;
}

static int unpack(struct vmdk_block *block)
{
	const struct vmdk_want *want = &block->want;

	if (!want->sparse)
		return 0;
	return vmdk_sparse_unpack(want->sparse, want->lba, block->packed, want->len,
				  block->bytes);
}

static void loaded(struct file_io *io, int res)
{
	struct vmdk_block *block = container_of(io, struct vmdk_block, io);
	struct vmdk_waiter *waiter = block->waiting, *next;
	const struct vmdk_want want = block->want;	/* one that is ready may load another */

	if (!res)
		res = unpack(block);
	block->state = res ? EMPTY : READY;
	block->waiting = NULL;
	for (; waiter; waiter = next) {
		next = waiter->next;

		/* Others only wait for a block to become free. */
		waiter->ready(waiter, same(&waiter->want, &want) ? res : 0);
	}
}

static void load(struct vmdk_block *block, const struct vmdk_want *want)
{
	block->state = LOADING;
	block->want = *want;
	block->seg = (struct iovec){ want->sparse ? block->packed : block->bytes, want->len };
	block->io = (struct file_io){
		.op = DISK_READ, .nr_segs = 1, .segs = &block->seg,
		.at = want->at, .len = want->len, .done = loaded,
	};
	file_submit(want->file, block->cache->loop, &block->io);
}

/* Empty, or not used for longest; one that is being read only if all are. */
static bool gives_way_before(const struct vmdk_block *a, const struct vmdk_block *b)
{
	if ((a->state == LOADING) != (b->state == LOADING))
		return b->state == LOADING;
	return a->state == EMPTY || (b->state != EMPTY && a->used < b->used);
}

const uint8_t *vmdk_cache_get(struct vmdk_cache *cache, struct vmdk_waiter *waiter)
{
	const struct vmdk_want *want = &waiter->want;
	uint64_t hash = (want->at / 512 * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
	struct vmdk_block *set = &cache->blocks[hash % cache->nr_sets * WAYS], *block = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].state != EMPTY && same(&set[i].want, want)) {
			block = &set[i];
			break;
		}
		if (gives_way_before(&set[i], block))
			block = &set[i];
	}
	if (block->state == READY && same(&block->want, want)) {
		block->used = ++cache->clock;
		return block->bytes;
	}
	waiter->next = block->waiting;
	block->waiting = waiter;
	if (block->state != LOADING)
		load(block, want);
	return NULL;
}
