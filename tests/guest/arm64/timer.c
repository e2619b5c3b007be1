// SPDX-License-Identifier: Apache-2.0
/*
 * timer.c - the virtual timer interrupts when its time has come, not before.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"

#define ENABLE		1
#define ROUNDS		5

static void stop(void)
{
	write_system(cntv_ctl_el0, 0);
}

void payload(void)
{
	uint64_t hz = read_system(cntfrq_el0);

	expect(hz >= 1000000, "the counter has a frequency");
	interrupt_on(MACHINE_TIMER_VECTOR, stop);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint64_t before = read_system(cntvct_el0);

		write_system(cntv_tval_el0, hz / 100);
		write_system(cntv_ctl_el0, ENABLE);
		interrupt_wait(MACHINE_TIMER_VECTOR, i);
		expect(read_system(cntvct_el0) - before >= hz / 100, "a hundredth of a second");
		expect_eq(interrupt_count(MACHINE_TIMER_VECTOR), i, "one interrupt");
	}
}
