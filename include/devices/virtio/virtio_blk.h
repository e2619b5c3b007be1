/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_blk.h - block device, virtio 1.2 section 5.2.
 *
 * What a failed request does is the disk's to say (disk_judge_failure()).  One that
 * is to wait stays in the device over a stop, and is tried again by the next start.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_BLK_H
#define DEVICES_VIRTIO_VIRTIO_BLK_H

struct disk;
struct err;
struct guest_mem;
struct virtio_dev;

#define VIRTIO_BLK_SERIAL_MAX 20	/* bytes, section 5.2.6 */
#define VIRTIO_BLK_QUEUES_MAX 64

/*
 * The device belongs to disk's loop; disk outlives it and is used by it alone.
 * serial is copied and may be NULL.  Main.  Freed by virtio_free().
 */
int virtio_blk_new(struct virtio_dev **ret_dev, struct disk *disk, const char *serial,
		   unsigned nr_queues, struct guest_mem *mem, struct err *err);

#endif
