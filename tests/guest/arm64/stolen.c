// SPDX-License-Identifier: Apache-2.0
/*
 * stolen.c - KVM tells the guest how much time it was kept waiting, in the monitor's place.
 */
#include "io.h"
#include "payload.h"

#define SMCCC_FEATURES	0x80000001
#define PV_TIME_FEATURES 0xc5000020
#define PV_TIME_ST	0xc5000021
#define STOLEN		8		/* bytes from the start of the structure */

void payload(void)
{
	uint64_t at;

	expect_eq(hypercall(SMCCC_FEATURES, PV_TIME_FEATURES, 0, 0), 0, "stolen time is known");
	expect_eq(hypercall(PV_TIME_FEATURES, PV_TIME_ST, 0, 0), 0, "it is there");
	at = hypercall(PV_TIME_ST, 0, 0, 0);
	expect_eq(at, 0x40100000, "it lies where the memory is reserved for it");
	expect_eq(read32(at), 0, "revision 0");
	expect(read64(at + STOLEN) < 60 * UINT64_C(1000000000), "less than a minute was stolen");
}
