/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gic.h - the interrupt controller, of which there are two kinds.
 *
 * Interrupts have numbers: those of one processor's own from 16 on, wires from 32 on, and
 * messages from where the kind has them.
 */
#ifndef TESTS_GUEST_LIB_ARM64_GIC_H
#define TESTS_GUEST_LIB_ARM64_GIC_H

#include <stdint.h>

#define GIC_DISTRIBUTOR	UINT64_C(0x08000000)
#define GIC_NONE	1020			/* to 1023: there is none any more */

struct gic {
	unsigned first_message;
	void (*init)(void);
	void (*enable_own)(unsigned number);
	void (*enable_wire)(unsigned number);

	/* Have what the function in this place writes raise the i-th message. */
	void (*enable_message)(unsigned place, unsigned i, uint64_t *ret_at,
			       uint32_t *ret_data);
	unsigned (*acknowledge)(void);
	void (*end)(unsigned number);
};

extern const struct gic gic_v2, gic_v3;

#endif
