// SPDX-License-Identifier: Apache-2.0
/*
 * steady.c - a guest that notices when it does not go on as it was: its memory, its disk,
 * its timer and its time stamp counter are all of the same round.  For each byte that it
 * receives it tells the round; at 'r' it resets itself, at 'q' it switches off.  With "notsc"
 * on the command line the counter may be any: software hosts give each guest their own.  Not
 * a test by itself: snapshots and migration are tested with it.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"
#include "virtio.h"

#define PAGES		512		/* of memory that is watched */
#define SECTORS		64		/* of the disk */
#define DISK_VECTOR	0x30
#define TIMER_VECTOR	0x31

#define APIC		UINT64_C(0xfee00000)
#define APIC_LVT_TIMER	0x320
#define APIC_INITIAL	0x380
#define APIC_DIVIDE	0x3e0
#define TIMER_PERIODIC	0x20000
#define DIVIDE_BY_16	0x3
#define TIMER_COUNT	200000

#define UART_DATA	0x3f8
#define UART_STATUS	0x3fd
#define UART_READY	1

#define RESET		0x602
#define RESET_VALUE	1

static uint64_t pages[PAGES][512] __attribute__((aligned(4096)));
static uint64_t sector[64];

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

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

static void start_timer(void)
{
	write32(APIC + APIC_DIVIDE, DIVIDE_BY_16);
	write32(APIC + APIC_LVT_TIMER, TIMER_PERIODIC | TIMER_VECTOR);
	write32(APIC + APIC_INITIAL, TIMER_COUNT);
}

/* False: it was the last. */
static bool answer(uint64_t round)
{
	uint8_t byte;

	if (!(in8(UART_STATUS) & UART_READY))
		return true;
	byte = in8(UART_DATA);
	if (byte == 'q')
		return false;
	if (byte == 'r')
		out8(RESET, RESET_VALUE);
	print("round ");
	print_number(round);
	print("\n");
	return true;
}

void payload(void)
{
	struct virtio disk;
	bool watches_tsc = !same_text(boot.cmdline, "notsc");
	uint64_t round, before = tsc();

	virtio_open(&disk, VIRTIO_BLK, DISK_VECTOR, UINT64_C(1) << VIRTIO_BLK_FLUSH);
	for (unsigned i = 0; i < PAGES; i++)
		pages[i][0] = i;
	start_timer();
	print("READY\n");
	for (round = 1; answer(round); round++) {
		uint64_t now = tsc();

		expect(!watches_tsc || now > before, "the time stamp counter goes forward");
		before = now;
		check_memory(round);
		check_disk(&disk, round);
		interrupt_wait(TIMER_VECTOR, interrupt_count(TIMER_VECTOR) + 1);
	}
}
