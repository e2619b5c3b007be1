// SPDX-License-Identifier: Apache-2.0
/* fuzz_virtio_blk.c - the block device, on a disk in memory. */
#include "device/fake_disk.h"
#include "device/rig.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_pci.h"
#include "guest_actions.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#define DISK_LEN	(64 * 512)
#define TURNS_MAX	16

static struct disk *disk;

/* guest_actions_rig() clears RAM, so it is asked once. */
static struct rig *fuzz_rig;

/*
 * The disk becomes slow, or full with one consequence or another, or well again; and
 * the VM is paused for a moment, which tries again what was stopped.
 */
static void poke(uint32_t what, uint32_t value)
{
	struct fake_disk_log *log = fake_disk_log(disk);

	log->nr_turns = value % TURNS_MAX;
	log->result = what % 4 ? 0 : -ENOSPC;
	log->verdict = what / 4 % (DISK_IGNORE + 1);
	log->no_cache = value / TURNS_MAX % 2;
	if (value / TURNS_MAX % 8 == 7) {
		virtio_pci_pause(fuzz_rig->vp);
		virtio_pci_resume(fuzz_rig->vp);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static uint8_t bytes[DISK_LEN];
	struct rig *rig = guest_actions_rig();
	struct virtio_dev *dev;

	fuzz_rig = rig;
	disk = fake_disk_new(rig->loop, bytes, DISK_LEN, len && input[0] & 0x80);
	if (virtio_blk_new(&dev, disk, "serial", 2, rig->mem, NULL))
		abort();
	rig_plug(rig, dev);
	guest_actions_run(rig, VIRTIO_ID_BLOCK, input, len, poke);
	rig_unplug(rig);
	disk = fake_disk_free(disk);
	return 0;
}
