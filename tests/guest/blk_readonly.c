// SPDX-License-Identifier: Apache-2.0
/*
 * blk_readonly.c - a read-only disk says so, can be read and not be written.
 */
#include "payload.h"
#include "virtio.h"

#define READ_ONLY	5	/* feature bit */

void payload(void)
{
	static uint8_t sector[512];
	struct virtio disk;

	virtio_open(&disk, VIRTIO_BLK, VIRTIO_POLL, UINT64_C(1) << READ_ONLY);
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, 0, sector, 512), VIRTIO_BLK_OK, "read");
	expect_eq(sector[0], 'R', "the image's first byte");
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, 0, sector, 512), VIRTIO_BLK_ERROR,
		  "a write fails");
}
