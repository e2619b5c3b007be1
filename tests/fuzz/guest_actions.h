/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_actions.h - what the fuzzers of virtio devices share: a guest whose every
 * step is taken from the input.
 *
 * The first two bytes choose features and ring size of a start that succeeds;
 * then each sixteen bytes are one step.  Some steps keep to the rules, so that
 * the input reaches the device's own code, and some keep to none.
 *
 * The loop runs inline, so that a run depends on the input only.
 */
#ifndef TESTS_FUZZ_GUEST_ACTIONS_H
#define TESTS_FUZZ_GUEST_ACTIONS_H

#include <stddef.h>
#include <stdint.h>

struct rig;

/* The rig of the process, open, without a device and with zeroed RAM. */
struct rig *guest_actions_rig(void);

/*
 * Drive the device of this virtio type, which is in the rig.  poke, which may be
 * NULL, is called for the steps that happen behind the device.
 */
void guest_actions_run(struct rig *rig, unsigned type, const uint8_t *input, size_t len,
		       void (*poke)(uint32_t what, uint32_t value));

#endif
