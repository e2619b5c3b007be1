// SPDX-License-Identifier: Apache-2.0
/*
 * block_reads FILE FORMAT CACHE DEPTH SECONDS
 *
 * Random reads of 4 KiB by the guest's half of virtio, through the real device, disk
 * and loop, all on one thread and without a vCPU.  FORMAT is raw or qcow2, CACHE
 * writeback or direct.  Each cluster of 64 KiB is read once first, so that tables
 * are in memory.  Prints JSON: reads, seconds, and seconds of processor time.
 */
#include "base/clock.h"
#include "base/err.h"
#include "block/disk.h"
#include "devices/virtio/virtio_blk.h"
#include "guest_driver.h"
#include "loop/loop.h"
#include "rig.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BLOCK		4096
#define SECTOR		512
#define CLUSTER		(64 * KiB)
#define DEPTH_MAX	32
#define RING_SIZE	256

#define HEADER_LEN	16
#define HEADERS_AT	DRIVER_FREE_AT			/* by slot */
#define STATUSES_AT	(HEADERS_AT + DEPTH_MAX * HEADER_LEN)
#define DATA_AT		UINT64_C(0x30000)

struct bench {
	struct rig rig;
	struct driver driver;
	struct ring *ring;
	struct disk *disk;
	struct virtio_blk_outhdr *headers;
	uint8_t *statuses;
	uint16_t slot_of[RING_SIZE];	/* by head */
	uint64_t random;
	uint64_t nr_blocks;
	uint64_t nr_sent, nr_done;
	uint64_t warm_left;		/* clusters to be read in order */
};

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "block_reads: %s\n", why);
	exit(EXIT_FAILURE);
}

/* xorshift64: a few cycles, and no two disks of ours are long enough to see it repeat. */
static uint64_t next_block(struct bench *bench)
{
	if (bench->warm_left)
		return --bench->warm_left * (CLUSTER / BLOCK);
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return bench->random % bench->nr_blocks;
}

static void send(struct bench *bench, uint16_t slot)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT + slot * (uint64_t)HEADER_LEN, HEADER_LEN, false },
		{ DATA_AT + slot * (uint64_t)BLOCK, BLOCK, true },
		{ STATUSES_AT + slot, 1, true },
	};

	bench->headers[slot].sector = next_block(bench) * (BLOCK / SECTOR);
	bench->statuses[slot] = VIRTIO_BLK_S_UNSUPP;
	bench->slot_of[bench->ring->free] = slot;
	if (!ring_send(bench->ring, buffers, ARRAY_LEN(buffers)))
		fail("the ring is full");
	bench->nr_sent++;
}

/* The driver polls: used_event stays as it is, so an interrupt comes every 65536 reads. */
static bool something_is_used(void *ctx)
{
	struct bench *bench = ctx;

	return ring_used_idx(bench->ring) != bench->ring->last_used;
}

/* Take all that is done and, unless the time is up, send as much again. */
static void turn_over(struct bench *bench, bool go_on)
{
	struct vring_used_elem elem;

	loop_wait(bench->rig.loop, something_is_used, bench);
	while (ring_reap(bench->ring, &elem)) {
		uint16_t slot = bench->slot_of[elem.id];

		if (bench->statuses[slot] != VIRTIO_BLK_S_OK || elem.len != BLOCK + 1)
			fail("a read failed");
		bench->nr_done++;
		if (go_on)
			send(bench, slot);
	}
	if (go_on)
		ring_notify(bench->ring);
}

static void read_for(struct bench *bench, uint16_t depth, uint64_t ns)
{
	uint64_t end = clock_ns() + ns;

	for (uint16_t slot = 0; slot < depth; slot++)
		send(bench, slot);
	ring_kick(bench->ring);
	while (bench->warm_left || clock_ns() < end)
		turn_over(bench, true);
	while (bench->nr_done < bench->nr_sent)
		turn_over(bench, false);
}

static double cpu_seconds(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void open_device(struct bench *bench, const struct disk_config *config)
{
	struct virtio_dev *dev;
	struct err err = { 0 };

	rig_open(&bench->rig, RIG_INLINE);
	if (disk_open(&bench->disk, config, bench->rig.loop, &err) ||
	    virtio_blk_new(&dev, bench->disk, "bench", 1, bench->rig.mem, &err))
		fail(err.text);
	rig_plug(&bench->rig, dev);
	if (!driver_find(&bench->driver, &bench->rig, VIRTIO_ID_BLOCK) ||
	    !driver_start(&bench->driver, DRIVER_CORE_FEATURES, RING_SIZE))
		fail("the device does not start");
	bench->ring = &bench->driver.rings[0];
	bench->headers = rig_ram(&bench->rig, HEADERS_AT, DEPTH_MAX * HEADER_LEN);
	memset(bench->headers, 0, DEPTH_MAX * HEADER_LEN);	/* reads, VIRTIO_BLK_T_IN */
	bench->statuses = rig_ram(&bench->rig, STATUSES_AT, DEPTH_MAX);
	bench->nr_blocks = disk_size(bench->disk) / BLOCK;
	if (!bench->nr_blocks)
		fail("the disk is empty");
}

static void warm_up(struct bench *bench, uint16_t depth)
{
	bench->warm_left = disk_size(bench->disk) / CLUSTER;
	read_for(bench, depth, 0);
}

int main(int argc, char **argv)
{
	static struct bench bench = { .random = UINT64_C(0x9e3779b97f4a7c15) };
	struct disk_config config = { .id = "bench", .read_only = true };
	uint64_t begin, nr;
	double cpu, seconds;
	uint16_t depth;

	if (argc != 6)
		fail("usage: block_reads FILE FORMAT CACHE DEPTH SECONDS");
	config.path = argv[1];
	config.format = argv[2];
	config.cache = strcmp(argv[3], "direct") ? DISK_WRITEBACK : DISK_DIRECT;
	depth = (uint16_t)atoi(argv[4]);
	seconds = atof(argv[5]);
	if (!depth || depth > DEPTH_MAX)
		fail("DEPTH is from 1 to 32");
	open_device(&bench, &config);
	warm_up(&bench, depth);

	nr = bench.nr_done;
	bench.random ^= begin = clock_ns();
	cpu = cpu_seconds();
	read_for(&bench, depth, (uint64_t)(seconds * (double)CLOCK_NS_PER_S));
	printf("{\"reads\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
	       (unsigned long long)(bench.nr_done - nr),
	       (double)(clock_ns() - begin) / (double)CLOCK_NS_PER_S, cpu_seconds() - cpu);

	rig_unplug(&bench.rig);
	disk_close(bench.disk, NULL);
	rig_close(&bench.rig);
	return EXIT_SUCCESS;
}
