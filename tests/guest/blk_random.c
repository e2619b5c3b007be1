// SPDX-License-Identifier: Apache-2.0
/*
 * blk_random.c - a guest that reads a disk at random, 4 KiB at a time.
 *
 *	depth=N	requests under way
 *	ticks=N	how long, by the time-stamp counter
 *
 * Before it begins it prints "begin", at the end "end" with its numbers; after both it
 * stays for a moment, so that the monitor can be looked at.
 */
#include "machine.h"
#include "payload.h"
#include "polled.h"
#include "virtio.h"

#define BLOCK		4096
#define SECTORS_A_BLOCK	(BLOCK / 512)

static struct slot {
	_Alignas(16) struct polled_desc table[3];
	struct { uint32_t type, reserved; uint64_t sector; } header;
	volatile uint8_t status;
} slots[POLLED_SIZE];
static _Alignas(BLOCK) uint8_t blocks[POLLED_SIZE][BLOCK];

static struct polled_queue queue;
static uint64_t nr_blocks, nr_ticks;
static unsigned depth;
static uint64_t nr_done, ticks_taken;
static bool failed;

static void open_disk(void)
{
	struct polled_device disk;

	polled_open(&disk, VIRTIO_BLK, POLLED_INDIRECT_DESC);
	polled_add(&disk, 0, &queue);
	polled_ready(&disk);
	nr_blocks = read32(disk.config) / SECTORS_A_BLOCK;
}

static void make_slots(void)
{
	for (unsigned i = 0; i < depth; i++) {
		struct slot *slot = &slots[i];

		slot->table[0] = (struct polled_desc){ (uint64_t)&slot->header, 16,
						       POLLED_NEXT, 1 };
		slot->table[1] = (struct polled_desc){ (uint64_t)blocks[i], BLOCK,
						       POLLED_NEXT | POLLED_WRITE, 2 };
		slot->table[2] = (struct polled_desc){ (uint64_t)&slot->status, 1,
						       POLLED_WRITE, 0 };
		queue.ring[i] = (struct polled_desc){ (uint64_t)slot->table,
						      sizeof(slot->table), POLLED_INDIRECT, 0 };
	}
}

/* In user mode. */

static uint64_t random_number(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void offer(uint16_t i)
{
	slots[i].header.sector = random_number() % nr_blocks * SECTORS_A_BLOCK;
	slots[i].status = 0xff;
	polled_offer(&queue, i);
}

/* All that is done begins anew, or is put to rest when the time is up. */
static void read_blocks(void)
{
	uint64_t begin = machine_ticks(), end = begin + nr_ticks;
	unsigned under_way = depth;

	for (uint16_t i = 0; i < depth; i++)
		offer(i);
	while (under_way) {
		bool over = machine_ticks() >= end;
		uint32_t len;
		uint16_t i;

		polled_kick(&queue);
		while (polled_take(&queue, &i, &len)) {
			failed |= slots[i].status != 0;
			nr_done++;
			if (over)
				under_way--;
			else
				offer(i);
		}
		relax();
	}
	ticks_taken = machine_ticks() - begin;
}

static void linger(void)
{
	polled_linger(nr_ticks / 8);
}

void payload(void)
{
	depth = (unsigned)cmdline_number("depth");
	nr_ticks = cmdline_number("ticks");
	open_disk();
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
	print_number(queue.nr_kicks);
	print("\n");
	user_call(linger);
}
