// SPDX-License-Identifier: Apache-2.0
/*
 * steady.c - a guest that notices when it does not go on as it was: its memory, its disk,
 * its timer and its counter are all of the same round.  For each byte that it
 * receives it tells the round; at 'r' it resets itself, at 'q' it switches off.  With "notsc"
 * on the command line the counter may be any: software hosts give each guest their own.  Not
 * a test by itself: snapshots and migration are tested with it.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "virtio.h"

#define PAGES		512		/* of memory that is watched */
#define SECTORS		64		/* of the disk */
#define DISK_VECTOR	0x30

static uint64_t pages[PAGES][512] __attribute__((aligned(4096)));
static uint64_t sector[64];

/* One word of each page, another one each round. */
static void check_memory(uint64_t round)
{
	for (unsigned i = 0; i < PAGES; i++) {
		expect_eq(pages[i][(round - 1) % 512], round - 1 + i, "memory is of this round");
		pages[i][round % 512] = round + i;
	}
}

static void check_disk(struct virtio *disk, uint64_t round)
{
	if (round > 1) {
		expect_eq(virtio_blk(disk, VIRTIO_BLK_READ, (round - 1) % SECTORS, sector,
				     sizeof(sector)), VIRTIO_BLK_OK, "a read succeeds");
		expect_eq(sector[0], round - 1, "the disk is of this round");
	}
	sector[0] = round;
	expect_eq(virtio_blk(disk, VIRTIO_BLK_WRITE, round % SECTORS, sector, sizeof(sector)),
		  VIRTIO_BLK_OK, "a write succeeds");
	expect_eq(virtio_blk(disk, VIRTIO_BLK_SYNC, 0, NULL, 0), VIRTIO_BLK_OK, "flush");
}

/* False: it was the last. */
static bool answer(uint64_t round)
{
	uint8_t byte;

	if (!take_byte(&byte))
		return true;
	if (byte == 'q')
		return false;
	if (byte == 'r')
		machine_reset(0);
	print("round ");
	print_number(round);
	print("\n");
	return true;
}

void payload(void)
{
	struct virtio disk;
	bool watches_tsc = !same_text(boot.cmdline, "notsc");
	uint64_t round, before = machine_ticks();

	virtio_open(&disk, VIRTIO_BLK, DISK_VECTOR, UINT64_C(1) << VIRTIO_BLK_FLUSH);
	for (unsigned i = 0; i < PAGES; i++)
		pages[i][0] = i;
	interrupt_start_timer();
	print("READY\n");
	for (round = 1; answer(round); round++) {
		uint64_t now = machine_ticks();

		expect(!watches_tsc || now > before, "the time stamp counter goes forward");
		before = now;
		check_memory(round);
		check_disk(&disk, round);
		interrupt_wait(MACHINE_TIMER_VECTOR, interrupt_count(MACHINE_TIMER_VECTOR) + 1);
	}
}
