// SPDX-License-Identifier: Apache-2.0
/*
 * reset_i8042.c - the keyboard controller's reset line starts the machine anew: memory and
 * devices are fresh, the disk is not.
 */
#include "io.h"
#include "payload.h"
#include "virtio.h"

#define COMMAND		0x64
#define PULSE_RESET	0xfe
#define COM1_SCRATCH	0x3ff
#define USED		0x77

static uint8_t sector[512];
static volatile uint64_t mark;

void payload(void)
{
	struct virtio disk;

	virtio_open(&disk, VIRTIO_BLK, VIRTIO_POLL, 0);
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, 0, sector, 512), VIRTIO_BLK_OK, "read");
	expect_eq(mark, 0, "memory is fresh");
	expect(in8(COM1_SCRATCH) != USED, "devices are fresh");
	if (sector[0] == USED) {
		print("second boot\n");
		return;
	}
	print("first boot\n");
	mark = 1;
	out8(COM1_SCRATCH, USED);
	sector[0] = USED;
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, 0, sector, 512), VIRTIO_BLK_OK, "write");
	out8(COMMAND, PULSE_RESET);
	for (;;)
		__asm__ volatile("hlt");
}
