// SPDX-License-Identifier: Apache-2.0
/*
 * rng.c - the entropy device fills what it is given, differently each time.
 */
#include "payload.h"
#include "virtio.h"

void payload(void)
{
	static uint8_t a[32], b[32];
	const struct virtio_part first = { a, sizeof(a) };
	const struct virtio_part second[] = { { b, 1 }, { b + 1, sizeof(b) - 1 } };
	struct virtio rng;

	virtio_open(&rng, VIRTIO_RNG, VIRTIO_POLL, 0);
	expect_eq(virtio_request(&rng, &first, 0, 1), sizeof(a), "all is filled");
	expect_eq(virtio_request(&rng, second, 0, 2), sizeof(b), "both parts are filled");
	expect(memcmp(a, b, sizeof(a)), "two draws differ");
}
