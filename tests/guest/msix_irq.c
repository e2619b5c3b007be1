// SPDX-License-Identifier: Apache-2.0
/*
 * msix_irq.c - a device's completion wakes a halted processor by MSI-X, once for
 * each request.
 */
#include "interrupt.h"
#include "payload.h"
#include "virtio.h"

#define VECTOR		0x30
#define REQUESTS	5

void payload(void)
{
	static uint8_t bytes[64];
	const struct virtio_part part = { bytes, sizeof(bytes) };
	struct virtio rng;

	virtio_open(&rng, VIRTIO_RNG, VECTOR, 0);
	for (unsigned i = 0; i < REQUESTS; i++)
		expect_eq(virtio_request(&rng, &part, 0, 1), sizeof(bytes), "all is filled");
	expect_eq(interrupt_count(VECTOR), REQUESTS, "as many interrupts as requests");
}
