/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds.h - every virtio device there is, for the tests that all must pass.
 */
#ifndef TESTS_DEVICE_KINDS_H
#define TESTS_DEVICE_KINDS_H

#include "guest_driver.h"
#include "rig.h"

#define KIND_BUFFERS_MAX 3

struct kind {
	const char *name;
	unsigned type;			/* virtio device type */
	unsigned queue;			/* the one that request() is for */
	uint64_t config_len;		/* bytes */

	/* Make the device, and what is behind it, in the rig. */
	void (*plug)(struct rig *rig);

	/* Undo that after rig_unplug(); may be NULL. */
	void (*unplugged)(void);

	/* Put a valid request into RAM; returns how many buffers it has. */
	unsigned (*request)(struct rig *rig, struct buffer *buffers);
};

#define KINDS_NR 5

extern const struct kind kinds[KINDS_NR];

#endif
