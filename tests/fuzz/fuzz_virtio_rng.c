// SPDX-License-Identifier: Apache-2.0
/* fuzz_virtio_rng.c - the entropy device. */
#include "device/rig.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_rng.h"
#include "guest_actions.h"

#include <linux/virtio_ids.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct rig *rig = guest_actions_rig();
	struct virtio_dev *dev;

	if (virtio_rng_new(&dev, rig->mem, rig->loop, NULL))
		abort();
	rig_plug(rig, dev);
	guest_actions_run(rig, VIRTIO_ID_RNG, input, len, NULL);
	rig_unplug(rig);
	return 0;
}
