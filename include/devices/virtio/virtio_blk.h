/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_blk.h - block device, virtio 1.2 section 5.2.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_BLK_H
#define DEVICES_VIRTIO_VIRTIO_BLK_H

struct disk;
struct err;
struct guest_mem;
struct loop;
struct virtio_dev;

#define VIRTIO_BLK_SERIAL_MAX 20	/* bytes, section 5.2.6 */

/*
 * disk belongs to the same loop, outlives the device and is used by it alone.
 * serial is copied and may be NULL.  Main.  Freed by virtio_free().
 */
int virtio_blk_new(struct virtio_dev **ret_dev, struct disk *disk, const char *serial,
		   struct guest_mem *mem, struct loop *loop, struct err *err);

#endif
