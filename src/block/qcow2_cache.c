// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_cache.c - slices of L2 tables and refcount blocks in memory.
 *
 * A bounded number of slices, all allocated when the image is opened (untouched
 * memory costs nothing).  A slice that is to be used and is not there is read
 * in the place of one that was not used lately, by a hand that goes round and
 * gives each a second chance.  Dirty ones stay until a write-back; when there is
 * nothing but dirty ones, the op waits for that.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SLICES_MIN 32
#define SLICE_ALIGN 4096	/* so that direct I/O takes them as they are */

static uint8_t *get_memory(size_t len)
{
	void *bytes;

	return posix_memalign(&bytes, SLICE_ALIGN, len) ? NULL : bytes;
}

int qcow2_cache_init(struct qcow2 *q, uint64_t len)
{
	struct qcow2_cache *c = &q->cache;

	c->slice_len = qcow2_map_slice_len(&q->geo);
	c->nr = (unsigned)max_u64(len / c->slice_len, SLICES_MIN);
	for (c->nr_buckets = 1; c->nr_buckets < c->nr; c->nr_buckets *= 2)
		;
	c->slices = calloc(c->nr, sizeof(*c->slices));
	c->buckets = calloc(c->nr_buckets, sizeof(struct qcow2_slice *));
	c->bytes = get_memory(c->nr * c->slice_len);
	c->shadows = get_memory(c->nr * c->slice_len);
	if (!c->slices || !c->buckets || !c->bytes || !c->shadows)
		return -ENOMEM;
	for (unsigned i = 0; i < c->nr; i++) {
		c->slices[i].q = q;
		c->slices[i].bytes = c->bytes + i * c->slice_len;
	}
	return 0;
}

void qcow2_cache_fini(struct qcow2 *q)
{
	free(q->cache.slices);
	free(q->cache.buckets);
	free(q->cache.bytes);
	free(q->cache.shadows);
}

static struct qcow2_slice **bucket(const struct qcow2 *q, uint64_t at)
{
	const struct qcow2_cache *c = &q->cache;
	uint64_t mixed = at / c->slice_len * UINT64_C(0x9e3779b97f4a7c15);

	return &c->buckets[mixed >> 32 & (c->nr_buckets - 1)];
}

struct qcow2_slice *qcow2_cache_find(const struct qcow2 *q, uint64_t at)
{
	struct qcow2_slice *slice = *bucket(q, at);

	while (slice && slice->at != at)
		slice = slice->hash_next;
	return slice;
}

static void forget(struct qcow2_slice *slice)
{
	struct qcow2_slice **link = bucket(slice->q, slice->at);

	while (*link != slice)
		link = &(*link)->hash_next;
	*link = slice->hash_next;
	slice->at = 0;
}

/* A slice that can hold something else, or NULL. */
static struct qcow2_slice *evict(struct qcow2_cache *c)
{
	for (unsigned i = 0; i < 2 * c->nr; i++) {
		struct qcow2_slice *slice = &c->slices[c->hand];

		c->hand = (c->hand + 1) % c->nr;
		if (slice->loading || slice->dirty || slice->writing)
			continue;
		if (slice->at && slice->used) {
			slice->used = false;
			continue;
		}
		if (slice->at)
			forget(slice);
		return slice;
	}
	return NULL;
}

static void loaded(struct file_io *io, int res)
{
	struct qcow2_slice *slice = container_of(io, struct qcow2_slice, io);
	struct qcow2_queue waiters = slice->waiters;

	slice->loading = false;
	slice->waiters = (struct qcow2_queue){ 0 };
	if (res < 0)
		forget(slice);
	qcow2_op_wake(&waiters, res);
}

static void load(struct qcow2 *q, struct qcow2_slice *slice, enum qcow2_meta kind,
		 uint64_t at)
{
	struct qcow2_slice **head = bucket(q, at);

	slice->at = at;
	slice->kind = kind;
	slice->loading = slice->used = true;
	slice->hash_next = *head;
	*head = slice;
	slice->seg = (struct iovec){ slice->bytes, q->cache.slice_len };
	slice->io = (struct file_io){
		.op = DISK_READ, .at = at, .len = q->cache.slice_len,
		.segs = &slice->seg, .nr_segs = 1, .pad = true, .done = loaded,
	};
	file_submit(q->file, q->disk->loop, &slice->io);
}

int qcow2_cache_get(struct qcow2 *q, struct qcow2_op *op, enum qcow2_meta kind,
		    uint64_t at, struct qcow2_slice **ret_slice)
{
	struct qcow2_slice *slice = qcow2_cache_find(q, at);

	if (slice && !slice->loading) {
		slice->used = true;
		*ret_slice = slice;
		return 0;
	}
	if (!slice) {
		slice = evict(&q->cache);
		if (!slice)	/* the frees are part of what they would wait for */
			return op == q->frees.op ? -EAGAIN : qcow2_writeback_wait(op);
		load(q, slice, kind, at);
	}
	qcow2_op_wait(op, &slice->waiters);
	return QCOW2_LATER;
}

void qcow2_cache_dirty(struct qcow2_slice *slice)
{
	slice->q->cache.nr_dirty += !slice->dirty;
	slice->dirty = true;
}

void qcow2_cache_drop(struct qcow2 *q, uint64_t at, uint64_t len)
{
	for (uint64_t end = at + len; at < end; at += q->cache.slice_len) {
		struct qcow2_slice *slice = qcow2_cache_find(q, at);

		if (!slice)
			continue;
		assert(!slice->loading && !slice->dirty && !slice->writing);
		forget(slice);
	}
}
