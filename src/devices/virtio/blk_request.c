// SPDX-License-Identifier: Apache-2.0
/*
 * blk_request.c - carries a guest's requests to a disk, virtio 1.2 section 5.2.6.
 *
 * What a guest asks for is judged here, so that whatever the disk fails is the
 * host's fault: only that is told to the user, or stops the VM.  Payload is read
 * and written by the kernel straight from and to guest memory.
 */
#include "blk.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <errno.h>

enum {
	T_IN		= 0,
	T_OUT		= 1,
	T_FLUSH		= 4,
	T_GET_ID	= 8,
	T_DISCARD	= 11,
	T_WRITE_ZEROES	= 13,
};

#define S_OK		0
#define S_IOERR		1
#define S_UNSUPP	2

#define HEADER_LEN	16
#define HEADER_SECTOR	8

/* A range to discard or zero. */
#define RANGE_LEN	16
#define RANGE_NR	8
#define RANGE_FLAGS	12
#define RANGE_UNMAP	1U

static void complete(struct blk_slot *slot, uint8_t status)
{
	struct blk *blk = slot->blk;
	uint32_t written = status == S_OK ? slot->read_len + 1 : 1;

	*(uint8_t *)slot->status.iov_base = status;
	virtq_push(slot->vq, slot->chain.head, written);
	slot->next = blk->free;
	blk->free = slot;
	blk->nr_in_flight--;
}

/* Is this all on the disk, in whole blocks? */
static bool is_on_disk(const struct blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t size = disk_size(blk->disk);

	/* The product must not wrap. */
	return sector <= size / BLK_SECTOR && range_within(sector * BLK_SECTOR, len, size) &&
	       !((sector * BLK_SECTOR | len) & (disk_block_size(blk->disk) - 1));
}

/* The request's op and what depends on it are set. */
static void submit(struct blk_slot *slot, uint64_t sector, uint64_t len)
{
	struct disk_request *request = &slot->request;

	request->at = sector * BLK_SECTOR;
	request->len = len;
	request->durable = !slot->blk->writeback &&
			   (request->op == DISK_WRITE || request->op == DISK_ZERO);
	disk_submit(slot->blk->disk, request);
}

static void transfer(struct blk_slot *slot, enum disk_op op, uint64_t sector,
		     const struct iov *data)
{
	const struct blk *blk = slot->blk;

	if (!is_on_disk(blk, sector, data->len) || data->len > UINT32_MAX - 1 ||
	    (op == DISK_WRITE && disk_read_only(blk->disk))) {
		complete(slot, S_IOERR);
		return;
	}
	slot->read_len = op == DISK_READ ? (uint32_t)data->len : 0;
	slot->request.op = op;
	slot->request.segs = data->segs;
	slot->request.nr_segs = data->nr;
	submit(slot, sector, data->len);
}

static void submit_empty(struct blk_slot *slot, enum disk_op op, uint64_t sector,
			 uint64_t len)
{
	slot->request.op = op;
	slot->request.segs = NULL;
	slot->request.nr_segs = 0;
	submit(slot, sector, len);
}

static uint8_t judge_range(const struct blk *blk, enum disk_op op, uint64_t sector,
			   uint32_t nr, uint32_t flags)
{
	if (flags & ~(op == DISK_ZERO ? RANGE_UNMAP : 0))
		return S_UNSUPP;
	if (nr > BLK_RANGE_SECTORS_MAX ||
	    !is_on_disk(blk, sector, (uint64_t)nr * BLK_SECTOR))
		return S_IOERR;
	return S_OK;
}

/* The next of the ranges that make up the payload; one after the other. */
static void next_range(struct blk_slot *slot, enum disk_op op)
{
	struct iov *ranges = &slot->chain.readable;
	uint8_t range[RANGE_LEN], status = S_IOERR;
	uint64_t sector = 0;
	uint32_t nr = 0, flags = 0;

	if (!iov_read(ranges, 0, range, sizeof(range))) {
		sector = get_le64(range);
		nr = get_le32(range + RANGE_NR);
		flags = get_le32(range + RANGE_FLAGS);
		status = judge_range(slot->blk, op, sector, nr, flags);
	}
	if (status != S_OK) {
		complete(slot, status);
		return;
	}
	iov_drop_front(ranges, RANGE_LEN);
	slot->nr_ranges--;
	slot->request.unmap = flags & RANGE_UNMAP;
	submit_empty(slot, op, sector, (uint64_t)nr * BLK_SECTOR);
}

static void change_space(struct blk_slot *slot, enum disk_op op, unsigned feature)
{
	uint64_t len = slot->chain.readable.len;

	if (!virtio_has(&slot->blk->dev, feature)) {
		complete(slot, S_UNSUPP);
		return;
	}
	if (!len || len % RANGE_LEN || len / RANGE_LEN > BLK_RANGES_MAX) {
		complete(slot, S_IOERR);
		return;
	}
	slot->nr_ranges = (unsigned)(len / RANGE_LEN);
	next_range(slot, op);
}

static void get_id(struct blk_slot *slot)
{
	const struct blk *blk = slot->blk;

	if (iov_write(&slot->chain.writable, 0, blk->serial, sizeof(blk->serial))) {
		complete(slot, S_IOERR);
		return;
	}
	slot->read_len = sizeof(blk->serial);
	complete(slot, S_OK);
}

/* Failure. */

static void park(struct blk_slot *slot)
{
	struct blk *blk = slot->blk;

	slot->next = NULL;
	if (blk->parked)
		blk->last_parked->next = slot;
	else
		blk->parked = slot;
	blk->last_parked = slot;
	blk->nr_parked++;
}

void blk_retry_parked(struct blk *blk)
{
	struct blk_slot *slot = blk->parked;

	blk->parked = NULL;
	blk->nr_parked = 0;
	while (slot) {
		struct blk_slot *next = slot->next;

		disk_submit(blk->disk, &slot->request);
		slot = next;
	}
}

unsigned blk_held(const struct virtio_dev *dev, unsigned queue, uint16_t *heads)
{
	const struct blk *blk = container_of(dev, struct blk, dev);
	unsigned nr = 0;

	for (const struct blk_slot *slot = blk->parked; slot; slot = slot->next)
		if (virtq_index(slot->vq) == queue)
			heads[nr++] = slot->chain.head;
	return nr;
}

void blk_drop_parked(struct blk *blk)
{
	while (blk->parked) {
		struct blk_slot *slot = blk->parked;

		blk->parked = slot->next;
		slot->next = blk->free;
		blk->free = slot;
	}
	blk->nr_in_flight -= blk->nr_parked;
	blk->nr_parked = 0;
}

static void request_done(struct disk_request *request, int res)
{
	struct blk_slot *slot = container_of(request, struct blk_slot, request);
	enum disk_verdict verdict = DISK_IGNORE;

	if (res == -ECANCELED)
		verdict = DISK_STOP;
	else if (res < 0)
		verdict = disk_judge_failure(slot->blk->disk, request->op, res);
	if (verdict == DISK_STOP)
		park(slot);
	else if (verdict == DISK_REPORT)
		complete(slot, S_IOERR);
	else if (slot->nr_ranges)
		next_range(slot, request->op);
	else
		complete(slot, S_OK);
}

/* Taking requests. */

/*
 * The slot used last, as it is still in the cache; never NULL, since there is one
 * more than all queues hold.
 */
static struct blk_slot *next_slot(struct blk *blk)
{
	if (!blk->free) {
		struct blk_slot *slot = &blk->slots[blk->nr_touched++];

		slot->blk = blk;
		slot->request.done = request_done;
		blk->free = slot;
	}
	return blk->free;
}

/* The chain without its header and status byte is the payload. */
static void serve(struct blk_slot *slot)
{
	struct virtio_chain *chain = &slot->chain;
	uint8_t header[HEADER_LEN];
	struct iovec *last;
	uint64_t sector;

	if (iov_read(&chain->readable, 0, header, sizeof(header)) || !chain->writable.len) {
		virtio_break(&slot->blk->dev, "a request lacks its header or status byte");
		return;
	}
	iov_drop_front(&chain->readable, HEADER_LEN);
	last = &chain->writable.segs[chain->writable.nr - 1];
	slot->status = (struct iovec){ (char *)last->iov_base + last->iov_len - 1, 1 };
	iov_drop_back(&chain->writable, 1);

	slot->blk->free = slot->next;
	slot->blk->nr_in_flight++;
	slot->read_len = 0;
	slot->nr_ranges = 0;
	sector = get_le64(header + HEADER_SECTOR);
	switch (get_le32(header)) {
	case T_IN:
		transfer(slot, DISK_READ, sector, &chain->writable);
		break;
	case T_OUT:
		transfer(slot, DISK_WRITE, sector, &chain->readable);
		break;
	case T_FLUSH:
		submit_empty(slot, DISK_FLUSH, 0, 0);
		break;
	case T_GET_ID:
		get_id(slot);
		break;
	case T_DISCARD:
		change_space(slot, DISK_DISCARD, BLK_F_DISCARD);
		break;
	case T_WRITE_ZEROES:
		change_space(slot, DISK_ZERO, BLK_F_WRITE_ZEROES);
		break;
	default:
		complete(slot, S_UNSUPP);
	}
}

void blk_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct blk *blk = container_of(dev, struct blk, dev);

	while (virtq_pop(vq, &next_slot(blk)->chain) > 0) {
		blk->free->vq = vq;
		serve(blk->free);
	}
}
