/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.h - the block device from the inside: virtio_blk.c has its configuration
 * and its life, blk_request.c serves requests.
 *
 * Each request lives in a slot that is allocated with the device.  A slot is free,
 * with the disk, or parked: then the disk has failed it and it waits to be tried
 * again.  Owner, all of it.
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "block/disk.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_blk.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLK_QUEUE_SIZE	256
#define BLK_SECTOR	512

/* Feature bits, section 5.2.3. */
#define BLK_F_SEG_MAX		2
#define BLK_F_RO		5
#define BLK_F_BLK_SIZE		6
#define BLK_F_FLUSH		9
#define BLK_F_TOPOLOGY		10
#define BLK_F_CONFIG_WCE	11
#define BLK_F_MQ		12
#define BLK_F_DISCARD		13
#define BLK_F_WRITE_ZEROES	14

/* Of one request to discard or to write zeroes, as the configuration tells. */
#define BLK_RANGES_MAX		16
#define BLK_RANGE_SECTORS_MAX	(1U << 21)	/* 1 GiB */

struct blk_slot {
	struct virtio_chain chain;
	struct disk_request request;
	struct blk *blk;
	struct virtq *vq;
	struct iovec status;		/* one byte in guest memory */
	uint32_t read_len;		/* bytes the guest gets on success */
	unsigned nr_ranges;		/* to discard or zero, not begun yet */
	struct blk_slot *next;		/* free or parked */
};

struct blk {
	struct virtio_dev dev;
	struct disk *disk;
	char serial[VIRTIO_BLK_SERIAL_MAX];	/* zero-padded */
	struct disk_user user;

	bool cache_set, cache_on;	/* by the driver, in the configuration */
	bool writeback;			/* what holds: a write may be done before it is durable */

	unsigned nr_in_flight;		/* and parked */
	unsigned nr_parked;
	struct blk_slot *free;
	struct blk_slot *parked, *last_parked;	/* the first to come is the first to go on */
	unsigned nr_touched;		/* the slots behind have never been used */
	struct blk_slot slots[];
};

/* virtio_class.kick. */
void blk_kick(struct virtio_dev *dev, struct virtq *vq);

/* virtio_class.held: what is parked. */
unsigned blk_held(const struct virtio_dev *dev, unsigned queue, uint16_t *heads);

/* Try again what is parked; or forget it. */
void blk_retry_parked(struct blk *blk);
void blk_drop_parked(struct blk *blk);

#endif
