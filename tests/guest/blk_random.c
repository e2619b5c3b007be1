// SPDX-License-Identifier: Apache-2.0
/*
 * blk_random.c - a guest that reads a disk at random, 4 KiB at a time.
 *
 *	depth=N	requests under way
 *	ticks=N	how long, by the time-stamp counter
 *
 * Its driver runs in user mode and polls the used ring, so there is neither an
 * operating system nor an interrupt in what it measures: kicks, the monitor and the
 * host's file.  Before it begins it prints "begin", at the end "end" with its numbers;
 * after both it stays for a moment, so that the monitor can be looked at.
 *
 * The BARs are where this places them, since no firmware does so under each monitor.
 */
#include "io.h"
#include "payload.h"
#include "pci.h"

#define ID_BLK		0x10421af4
#define BARS_AT		0xc1000000
#define BAR_ROOM	0x00100000
#define BARS		6

/* virtio 1.2: capabilities in section 4.1.4, registers in 4.1.4.3. */
#define CAP_COMMON	1
#define CAP_NOTIFY	2
#define CAP_DEVICE	4
#define FEATURE_SELECT	0x00
#define FEATURE		0x04
#define ACCEPT_SELECT	0x08
#define ACCEPT		0x0c
#define STATUS		0x14
#define QUEUE_SELECT	0x16
#define QUEUE_SIZE	0x18
#define QUEUE_ENABLE	0x1c
#define QUEUE_NOTIFY	0x1e
#define QUEUE_DESC	0x20
#define QUEUE_DRIVER	0x28
#define QUEUE_DEVICE	0x30

#define READY		0x0f		/* acknowledge, driver, features, driver ok */
#define INDIRECT_DESC	(UINT64_C(1) << 28)
#define EVENT_IDX	(UINT64_C(1) << 29)
#define VERSION_1	(UINT64_C(1) << 32)

#define DESC_NEXT	1
#define DESC_WRITE	2
#define DESC_INDIRECT	4

#define SIZE		128		/* of the queue */
#define BLOCK		4096
#define SECTORS_A_BLOCK	(BLOCK / 512)

struct desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};

static _Alignas(16) struct desc ring[SIZE];
static volatile struct { uint16_t flags, idx, ring[SIZE], used_event; } avail;
static _Alignas(4) volatile struct {
	uint16_t flags, idx;
	struct { uint32_t id, len; } ring[SIZE];
	uint16_t avail_event;
} used;

static struct slot {
	_Alignas(16) struct desc table[3];
	struct { uint32_t type, reserved; uint64_t sector; } header;
	volatile uint8_t status;
} slots[SIZE];
static _Alignas(BLOCK) uint8_t blocks[SIZE][BLOCK];

static unsigned device;			/* its slot on the bus */
static uint64_t notify, nr_blocks, nr_ticks;
static unsigned depth;
static uint64_t nr_done, nr_kicks, ticks_taken;
static bool failed;

/* Finding the device. */

static void find_device(void)
{
	for (device = 0; device < PCI_SLOTS; device++)
		if (read32(pci_at(device, 0)) == ID_BLK)
			return;
	fail("there is a disk on the bus");
}

/* A 64-bit BAR is followed by its upper half, which reads zero in the type bits. */
static void place_bars(void)
{
	write16(pci_at(device, PCI_COMMAND), 0);
	for (unsigned i = 0; i < BARS; i++) {
		uint64_t bar = pci_at(device, PCI_BAR0 + 4 * i);

		write32(bar, BARS_AT + i * BAR_ROOM);
		if (!(read32(bar) & 4))
			continue;
		write32(bar + 4, 0);
		i++;
	}
	write16(pci_at(device, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static unsigned capability(uint8_t type)
{
	unsigned cap = pci_next_capability(device, 0, PCI_CAP_VENDOR);

	while (cap && read8(pci_at(device, cap + 3)) != type)
		cap = pci_next_capability(device, cap, PCI_CAP_VENDOR);
	expect(cap, "the device has its capabilities");
	return cap;
}

static uint64_t registers(unsigned cap)
{
	unsigned bar = read8(pci_at(device, cap + 4));

	return (read32(pci_at(device, PCI_BAR0 + 4 * bar)) & ~UINT32_C(0xf)) +
	       read32(pci_at(device, cap + 8));
}

static void write_address(uint64_t reg, const volatile void *at)
{
	write32(reg, (uint32_t)(uint64_t)at);
	write32(reg + 4, 0);
}

static void open_device(void)
{
	const uint64_t wanted = VERSION_1 | EVENT_IDX | INDIRECT_DESC;
	unsigned cap = capability(CAP_NOTIFY);
	uint64_t common = registers(capability(CAP_COMMON));

	write8(common + STATUS, 0);
	write8(common + STATUS, 3);
	for (unsigned half = 0; half < 2; half++) {
		uint32_t bits = (uint32_t)(wanted >> 32 * half);

		write32(common + FEATURE_SELECT, half);
		expect_eq(read32(common + FEATURE) & bits, bits, "the features are there");
		write32(common + ACCEPT_SELECT, half);
		write32(common + ACCEPT, bits);
	}
	write8(common + STATUS, 3 | 8);
	write16(common + QUEUE_SELECT, 0);
	write16(common + QUEUE_SIZE, SIZE);
	write_address(common + QUEUE_DESC, ring);
	write_address(common + QUEUE_DRIVER, &avail);
	write_address(common + QUEUE_DEVICE, &used);
	write16(common + QUEUE_ENABLE, 1);
	notify = registers(cap) + read16(common + QUEUE_NOTIFY) * read32(pci_at(device, cap + 16));
	write8(common + STATUS, READY);
	expect_eq(read8(common + STATUS), READY, "the device is ready");
	nr_blocks = read32(registers(capability(CAP_DEVICE))) / SECTORS_A_BLOCK;
}

static void make_slots(void)
{
	for (unsigned i = 0; i < depth; i++) {
		struct slot *slot = &slots[i];

		slot->table[0] = (struct desc){ (uint64_t)&slot->header, 16, DESC_NEXT, 1 };
		slot->table[1] = (struct desc){ (uint64_t)blocks[i], BLOCK,
						DESC_NEXT | DESC_WRITE, 2 };
		slot->table[2] = (struct desc){ (uint64_t)&slot->status, 1, DESC_WRITE, 0 };
		ring[i] = (struct desc){ (uint64_t)slot->table, sizeof(slot->table),
					 DESC_INDIRECT, 0 };
	}
}

/* In user mode. */

static uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t random_number(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void offer(unsigned i)
{
	uint16_t idx = avail.idx;

	slots[i].header.sector = random_number() % nr_blocks * SECTORS_A_BLOCK;
	slots[i].status = 0xff;
	avail.ring[idx % SIZE] = (uint16_t)i;
	__asm__ volatile("" : : : "memory");
	avail.idx = idx + 1;
}

/* Section 2.7.10.2; old is avail.idx when it was last looked at. */
static void kick(uint16_t old)
{
	uint16_t new = avail.idx;

	__asm__ volatile("lock addl $0, (%%rsp)" : : : "memory");
	if ((uint16_t)(new - used.avail_event - 1) >= (uint16_t)(new - old))
		return;
	nr_kicks++;
	write16(notify, 0);
}

/* All that is done begins anew, or is put to rest when the time is up. */
static void read_blocks(void)
{
	uint64_t begin = now(), end = begin + nr_ticks;
	uint16_t seen = used.idx;
	unsigned under_way = depth;

	for (unsigned i = 0; i < depth; i++)
		offer(i);
	kick(0);
	while (under_way) {
		uint16_t old = avail.idx;
		bool over = now() >= end;

		avail.used_event = seen - 1;	/* no interrupts */
		while (seen != used.idx) {
			unsigned i = used.ring[seen++ % SIZE].id;

			failed |= slots[i].status != 0;
			nr_done++;
			if (over)
				under_way--;
			else
				offer(i);
		}
		if (avail.idx != old)
			kick(old);
		relax();
	}
	ticks_taken = now() - begin;
}

static void linger(void)
{
	uint64_t end = now() + nr_ticks / 8;

	while (now() < end)
		relax();
}

void payload(void)
{
	depth = (unsigned)cmdline_number("depth");
	nr_ticks = cmdline_number("ticks");
	find_device();
	place_bars();
	open_device();
	make_slots();
	print("begin\n");
	user_call(linger);
	user_call(read_blocks);
	expect(!failed, "every read succeeds");
	print("end ");
	print_number(nr_done);
	print(" ");
	print_number(ticks_taken);
	print(" ");
	print_number(nr_kicks);
	print("\n");
	user_call(linger);
}
