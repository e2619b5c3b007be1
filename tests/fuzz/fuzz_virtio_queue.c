// SPDX-License-Identifier: Apache-2.0
/* fuzz_virtio_queue.c - rings and descriptors, with the echo device behind them. */
#include "device/echo.h"
#include "device/rig.h"
#include "guest_actions.h"

static struct echo *echo;

/* From now on requests are in flight for a while, or not. */
static void poke(uint32_t what, uint32_t value)
{
	(void)value;
	echo->delay_ns = what % 2 ? 1000 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct rig *rig = guest_actions_rig();

	echo = echo_new(rig->mem, rig->loop);
	rig_plug(rig, &echo->dev);
	guest_actions_run(rig, ECHO_TYPE, input, len, poke);
	rig_unplug(rig);
	return 0;
}
