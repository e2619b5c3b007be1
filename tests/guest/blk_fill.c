// SPDX-License-Identifier: Apache-2.0
/*
 * blk_fill.c - fills a disk and reads it back: each block is the one that was
 * written there, whatever has happened in between.
 */
#include "machine.h"
#include "payload.h"
#include "virtio.h"

#define VECTOR		0x30
#define PART		(64 * 1024)
#define PART_SECTORS	(PART / 512)

#define STAMP_EVERY	4096	/* a payload's own instructions can be slow */

static uint8_t part[PART];

static void fill(uint64_t sector)
{
	for (unsigned i = 0; i < PART; i += STAMP_EVERY)
		*(uint64_t *)(void *)(part + i) = sector * 512 + i + 1;
}

static bool is_filled(uint64_t sector)
{
	for (unsigned i = 0; i < PART; i += STAMP_EVERY)
		if (*(uint64_t *)(void *)(part + i) != sector * 512 + i + 1)
			return false;
	return true;
}

void payload(void)
{
	struct virtio disk;
	uint32_t sectors;

	virtio_open(&disk, VIRTIO_BLK, VECTOR, UINT64_C(1) << VIRTIO_BLK_FLUSH);
	sectors = read32(disk.config);
	for (uint64_t s = 0; s < sectors; s += PART_SECTORS) {
		fill(s);
		expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, s, part, PART), VIRTIO_BLK_OK,
			  "a write succeeds");
	}
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_SYNC, 0, NULL, 0), VIRTIO_BLK_OK, "flush");
	for (uint64_t s = 0; s < sectors; s += PART_SECTORS) {
		expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, s, part, PART), VIRTIO_BLK_OK,
			  "a read succeeds");
		expect(is_filled(s), "the block is the one that was written");
	}
}
