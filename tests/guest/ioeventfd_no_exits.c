// SPDX-License-Identifier: Apache-2.0
/*
 * ioeventfd_no_exits.c - requests=N requests to a disk, by MSI-X.  run.py looks
 * at how many exits to user space they cost: none.
 */
#include "payload.h"
#include "virtio.h"

#define VECTOR	0x30

void payload(void)
{
	static uint8_t sector[512];
	uint64_t requests = cmdline_number("requests");
	struct virtio disk;

	virtio_open(&disk, VIRTIO_BLK, VECTOR, 0);
	for (uint64_t i = 0; i < requests; i++)
		expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, 0, sector, 512), VIRTIO_BLK_OK,
			  "read");
}
