// SPDX-License-Identifier: Apache-2.0
/*
 * blk_request.c - a disk keeps what is written to it, tells its size and serial
 * number, and refuses what it cannot do.
 */
#include "machine.h"
#include "payload.h"
#include "virtio.h"

#define VECTOR		0x30
#define SECTORS		2048		/* run.py makes the disk */
#define LAST		(SECTORS - 8)
#define UNKNOWN_TYPE	0x77

static uint8_t written[4096], got[4096];

void payload(void)
{
	struct virtio disk;
	char serial[21] = { 0 };

	virtio_open(&disk, VIRTIO_BLK, VECTOR, UINT64_C(1) << VIRTIO_BLK_FLUSH);
	expect_eq(read32(disk.config), SECTORS, "the capacity is the image's");

	memset(written, 0xa7, sizeof(written));
	written[0] = 1;
	written[4095] = 2;
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, LAST, written, 4096), VIRTIO_BLK_OK,
		  "the last sectors are written");
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_SYNC, 0, NULL, 0), VIRTIO_BLK_OK, "flush");
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, LAST, got, 4096), VIRTIO_BLK_OK,
		  "the last sectors are read");
	expect_eq(got[0], 1, "the first byte comes back");
	expect_eq(got[2048], 0xa7, "a byte amid comes back");
	expect_eq(got[4095], 2, "the last byte comes back");

	expect_eq(virtio_blk(&disk, VIRTIO_BLK_ID, 0, serial, 20), VIRTIO_BLK_OK, "serial");
	expect(same_text(serial, "serial-of-the-disk"), "the serial number is the disk's");

	expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, LAST + 1, got, 4096), VIRTIO_BLK_ERROR,
		  "a read across the end fails");
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, UINT64_MAX, got, 512), VIRTIO_BLK_ERROR,
		  "a write beyond any disk fails");
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, 0, got, 511), VIRTIO_BLK_ERROR,
		  "a write of part of a sector fails");
	expect_eq(virtio_blk(&disk, UNKNOWN_TYPE, 0, got, 512), VIRTIO_BLK_UNKNOWN,
		  "a request of an unknown type is unsupported");
}
