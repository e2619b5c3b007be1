// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_refcount.c - finds free clusters and counts a reference to them.
 *
 * The search begins where the last one ended, so that clusters of one write lie
 * together and the file grows at its end; what is given up moves it back.  A
 * cluster is taken by raising its count in the cache.  When the op then fails, or
 * the power does, the count stays too high: space is lost until the next repair,
 * nothing else.
 */
#include "block/qcow2.h"

#include "base/bits.h"
#include "block/qcow2_bytes.h"

#include <errno.h>
#include <stdlib.h>

#define DISCARDED_MAX	(64 * MiB)	/* that wait to be free, before an op waits, too */

uint64_t qcow2_refcount_slice_at(const struct qcow2 *q, uint64_t cluster)
{
	uint64_t index = cluster / q->per_block;
	uint64_t block = index < q->nr_reftable ?
			 q->reftable[index] & QCOW2_REFTABLE_OFFSET : 0;

	return block ? block + cluster % q->per_block / q->per_slice * q->cache.slice_len : 0;
}

static bool is_free(const struct qcow2 *q, const struct qcow2_slice *slice, uint64_t index)
{
	return !qcow2_bytes_refcount(slice->bytes, q->header.refcount_order, index);
}

/* The first free cluster at or after q->hint, in the slice of it; 0 and the slice. */
static int search(struct qcow2_op *op, struct qcow2_slice **ret_slice)
{
	struct qcow2 *q = op->q;

	for (;;) {
		uint64_t at = qcow2_refcount_slice_at(q, q->hint);
		int r;

		if (q->hint >= QCOW2_HOST_MAX >> q->geo.cluster_bits)
			return -ENOSPC;
		if (!at)
			return qcow2_grow_start(op);
		r = qcow2_cache_get(q, op, QCOW2_META_REFBLOCK, at, ret_slice);
		if (r)
			return r;
		for (uint64_t i = q->hint % q->per_slice; i < q->per_slice; i++, q->hint++)
			if (is_free(q, *ret_slice, i))
				return 0;
	}
}

int qcow2_refcount_alloc(struct qcow2_op *op, uint64_t want, uint64_t *ret_host,
			 uint64_t *ret_nr, bool *ret_fresh)
{
	struct qcow2 *q = op->q;
	struct qcow2_slice *slice;
	uint64_t nr = 0, host, index;
	int r = qcow2_free_wait(op, DISCARDED_MAX);

	if (!r)
		r = search(op, &slice);
	if (r)
		return r;
	host = q->hint << q->geo.cluster_bits;
	index = q->hint % q->per_slice;
	while (nr < want && index + nr < q->per_slice && is_free(q, slice, index + nr))
		nr++;
	if (!qcow2_meta_all(q, host, nr * q->cluster, QCOW2_META_NONE))
		return qcow2_meta_corrupt(op, "metadata are counted as free", host);
	for (uint64_t i = 0; i < nr; i++)
		qcow2_bytes_set_refcount(slice->bytes, q->header.refcount_order, index + i, 1);
	qcow2_cache_dirty(slice);
	q->hint += nr;
	*ret_host = host;
	*ret_nr = nr;
	*ret_fresh = host >= q->end;
	q->end = max_u64(q->end, host + nr * q->cluster);
	return 0;
}

/* The last block tells. */
int qcow2_refcount_is_short(const struct qcow2 *q)
{
	uint64_t nr = q->nr_reftable, used = q->per_block;
	unsigned order = q->header.refcount_order;
	uint8_t *block;
	int r;

	while (nr && !(q->reftable[nr - 1] & QCOW2_REFTABLE_OFFSET))
		nr--;
	if (!nr)
		return 0;
	block = malloc(q->cluster);
	if (!block)
		return -ENOMEM;
	r = qcow2_bytes_read(q->file->fd, block, q->cluster,
			     q->reftable[nr - 1] & QCOW2_REFTABLE_OFFSET);
	while (!r && used && !qcow2_bytes_refcount(block, order, used - 1))
		used--;
	free(block);
	return r < 0 ? r : used && (nr - 1) * q->per_block + used >
			   align_up(q->end, q->cluster) >> q->geo.cluster_bits;
}
