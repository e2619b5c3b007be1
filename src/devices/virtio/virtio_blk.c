// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_blk.c - carries a guest's requests to a disk.
 *
 * Each request lives in a slot that is allocated with the device: the popped
 * chain, the disk's request and the place of the status byte.  Payload is read
 * and written by the kernel straight from and to guest memory.
 *
 * The write cache is the host's.  A driver that accepts FLUSH says when data
 * must be durable; for one that does not, every write is (section 5.2.6.2).
 */
#include "devices/virtio/virtio_blk.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "block/disk.h"
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_SIZE	256
#define SECTOR		512

/* Feature bits, section 5.2.3. */
#define F_SEG_MAX	2
#define F_RO		5
#define F_BLK_SIZE	6
#define F_FLUSH		9

/* Configuration, section 5.2.4. */
#define CONFIG_CAPACITY	0
#define CONFIG_SEG_MAX	12
#define CONFIG_BLK_SIZE	20
#define CONFIG_LEN	24

/* Requests, section 5.2.6. */
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
#define S_OK		0
#define S_IOERR		1
#define S_UNSUPP	2
#define HEADER_LEN	16
#define HEADER_SECTOR	8

struct slot {
	struct virtio_chain chain;
	struct disk_request request;
	struct blk *blk;
	struct virtq *vq;
	struct iovec status;		/* one byte in guest memory */
	uint32_t read_len;		/* bytes the guest gets on success */
	struct slot *next_free;
};

struct blk {
	struct virtio_dev dev;
	struct disk *disk;
	char serial[VIRTIO_BLK_SERIAL_MAX];	/* zero-padded */
	unsigned nr_in_flight;
	struct slot *free;
	unsigned nr_touched;		/* the slots behind have never been used */
	struct slot slots[QUEUE_SIZE + 1];
};

static void complete(struct slot *slot, uint8_t status)
{
	struct blk *blk = slot->blk;
	uint32_t written = status == S_OK ? slot->read_len + 1 : 1;

	*(uint8_t *)slot->status.iov_base = status;
	virtq_push(slot->vq, slot->chain.head, written);
	slot->next_free = blk->free;
	blk->free = slot;
	blk->nr_in_flight--;
}

static void request_done(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);

	complete(slot, (uint8_t)(res < 0 ? S_IOERR : S_OK));
}

/*
 * The slot used last, as it is still in the cache; never NULL, since one more
 * than the queue holds are there.
 */
static struct slot *next_slot(struct blk *blk)
{
	if (!blk->free) {
		struct slot *slot = &blk->slots[blk->nr_touched++];

		slot->blk = blk;
		slot->request.done = request_done;
		blk->free = slot;
	}
	return blk->free;
}

static void transfer(struct slot *slot, enum disk_op op, uint64_t sector,
		     const struct iov *data)
{
	/* Out of range by far more than any disk: the product must not wrap. */
	if (sector > UINT64_MAX / SECTOR || data->len % SECTOR || data->len > UINT32_MAX - 1) {
		complete(slot, S_IOERR);
		return;
	}
	slot->read_len = op == DISK_READ ? (uint32_t)data->len : 0;
	slot->request.op = op;
	slot->request.at = sector * SECTOR;
	slot->request.segs = data->segs;
	slot->request.nr_segs = data->nr;
	slot->request.len = data->len;
	slot->request.durable = op == DISK_WRITE && !virtio_has(&slot->blk->dev, F_FLUSH);
	disk_submit(slot->blk->disk, &slot->request);
}

static void flush(struct slot *slot)
{
	slot->request.op = DISK_FLUSH;
	slot->request.at = 0;
	slot->request.segs = NULL;
	slot->request.nr_segs = 0;
	slot->request.len = 0;
	disk_submit(slot->blk->disk, &slot->request);
}

static void get_id(struct slot *slot)
{
	if (iov_write(&slot->chain.writable, 0, slot->blk->serial,
		      sizeof(slot->blk->serial))) {
		complete(slot, S_IOERR);
		return;
	}
	slot->read_len = sizeof(slot->blk->serial);
	complete(slot, S_OK);
}

/* The chain without its header and status byte is the payload. */
static void serve(struct slot *slot)
{
	struct virtio_chain *chain = &slot->chain;
	uint8_t header[HEADER_LEN];
	struct iovec *last;

	if (iov_read(&chain->readable, 0, header, sizeof(header)) || !chain->writable.len) {
		virtio_break(&slot->blk->dev, "a request lacks its header or status byte");
		return;
	}
	iov_drop_front(&chain->readable, HEADER_LEN);
	last = &chain->writable.segs[chain->writable.nr - 1];
	slot->status = (struct iovec){ (char *)last->iov_base + last->iov_len - 1, 1 };
	iov_drop_back(&chain->writable, 1);

	slot->blk->free = slot->next_free;
	slot->blk->nr_in_flight++;
	slot->read_len = 0;
	switch (get_le32(header)) {
	case T_IN:
		transfer(slot, DISK_READ, get_le64(header + HEADER_SECTOR), &chain->writable);
		break;
	case T_OUT:
		transfer(slot, DISK_WRITE, get_le64(header + HEADER_SECTOR), &chain->readable);
		break;
	case T_FLUSH:
		flush(slot);
		break;
	case T_GET_ID:
		get_id(slot);
		break;
	default:
		complete(slot, S_UNSUPP);
	}
}

static void blk_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct blk *blk = container_of(dev, struct blk, dev);

	while (virtq_pop(vq, &next_slot(blk)->chain) > 0) {
		/* Only a driver that offers a request twice comes here. */
		if (blk->nr_in_flight == QUEUE_SIZE) {
			virtio_break(dev, "more requests are in flight than the queue holds");
			return;
		}
		blk->free->vq = vq;
		serve(blk->free);
	}
}

static bool is_idle(void *ctx)
{
	return !((struct blk *)ctx)->nr_in_flight;
}

static void blk_stop(struct virtio_dev *dev)
{
	struct blk *blk = container_of(dev, struct blk, dev);

	loop_wait(dev->loop, is_idle, blk);
}

static void blk_free(struct virtio_dev *dev)
{
	free(container_of(dev, struct blk, dev));
}

static const struct virtio_class blk_class = {
	.name		= "virtio-blk",
	.id		= 2,
	.queue_size	= QUEUE_SIZE,
	.config_size	= CONFIG_LEN,
	.stop		= blk_stop,
	.kick		= blk_kick,
	.free		= blk_free,
};

int virtio_blk_new(struct virtio_dev **ret_dev, struct disk *disk, const char *serial,
		   struct guest_mem *mem, struct loop *loop, struct err *err)
{
	uint64_t features = BIT64(F_SEG_MAX) | BIT64(F_BLK_SIZE) | BIT64(F_FLUSH);
	struct blk *blk = calloc(1, sizeof(*blk));
	uint8_t config[CONFIG_LEN] = { 0 };
	int r;

	if (!blk)
		return err_sys(err, -ENOMEM, "cannot make %s", blk_class.name);
	if (disk_read_only(disk))
		features |= BIT64(F_RO);
	r = virtio_init(&blk->dev, &blk_class, 1, features, mem, loop, err);
	if (r < 0) {
		free(blk);
		return r;
	}
	blk->disk = disk;
	if (serial)
		memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
	put_le64(config + CONFIG_CAPACITY, disk_size(disk) / SECTOR);
	put_le32(config + CONFIG_SEG_MAX, VIRTIO_SEGS_MAX - 2);
	put_le32(config + CONFIG_BLK_SIZE, disk_block_size(disk));
	virtio_set_config(&blk->dev, 0, config, sizeof(config));
	*ret_dev = &blk->dev;
	return 0;
}
