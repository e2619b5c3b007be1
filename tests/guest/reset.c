// SPDX-License-Identifier: Apache-2.0
/*
 * reset.c - the guest resets the machine, by the way that the command line says: memory and
 * devices are fresh, disks are not.
 */
#include "machine.h"
#include "payload.h"
#include "virtio.h"

#define SCRATCH		7		/* of the UART */
#define USED		0x77

static uint8_t sector[512];
static volatile uint64_t mark;

void payload(void)
{
	struct virtio disk;

	virtio_open(&disk, VIRTIO_BLK, VIRTIO_POLL, 0);
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_READ, 0, sector, 512), VIRTIO_BLK_OK, "read");
	expect_eq(mark, 0, "memory is fresh");
	expect(uart_read(SCRATCH) != USED, "devices are fresh");
	if (sector[0] == USED) {
		print("second boot\n");
		return;
	}
	print("first boot\n");
	mark = 1;
	uart_write(SCRATCH, USED);
	sector[0] = USED;
	expect_eq(virtio_blk(&disk, VIRTIO_BLK_WRITE, 0, sector, 512), VIRTIO_BLK_OK, "write");
	machine_reset((unsigned)cmdline_number("way"));
}
