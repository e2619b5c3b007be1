// SPDX-License-Identifier: Apache-2.0
/*
 * interrupt.c - interrupts by either kind of controller.
 */
#include "interrupt.h"

#include "gic.h"
#include "machine.h"
#include "payload.h"

#define PFR0_GIC	(UINT64_C(0xf) << 24)	/* there is a GICv3 or later */
#define FIRST_WIRE	32
#define TIMER_HZ	50		/* leaves much of an emulated processor */

static volatile uint32_t counts[VECTORS];
static void (*handlers[VECTORS])(void);

/* From start.S. */
void interrupt_dispatch(void);
_Noreturn void interrupt_exception(uint64_t syndrome, uint64_t at, uint64_t address);

static const struct gic *gic(void)
{
	return read_system(id_aa64pfr0_el1) & PFR0_GIC ? &gic_v3 : &gic_v2;
}

void interrupt_dispatch(void)
{
	unsigned first = gic()->first_message;
	unsigned number = gic()->acknowledge();
	unsigned vector = number >= first ? number - first : number;

	if (number >= GIC_NONE && number < GIC_NONE + 4)
		return;
	expect(vector < VECTORS, "no other interrupt comes");
	counts[vector]++;
	if (handlers[vector])
		handlers[vector]();
	gic()->end(number);
}

void interrupt_exception(uint64_t syndrome, uint64_t at, uint64_t address)
{
	print("exception ");
	print_hex(syndrome);
	print(" at ");
	print_hex(at);
	print(", address ");
	print_hex(address);
	print("\n");
	fail("no exception comes");
}

void interrupt_init(void)
{
	gic()->init();
	gic()->enable_own(MACHINE_TIMER_VECTOR);
}

void interrupt_enable_own(unsigned vector)
{
	gic()->enable_own(vector);
}

void interrupt_route_pin(unsigned pin, unsigned vector)
{
	expect_eq(vector, FIRST_WIRE + pin, "a wire has a number of its own");
	gic()->enable_wire(vector);
}

void interrupt_message(unsigned place, unsigned vector, uint64_t *ret_at, uint32_t *ret_data)
{
	gic()->enable_message(place, vector, ret_at, ret_data);
}

uint32_t interrupt_count(unsigned vector)
{
	return counts[vector];
}

void interrupt_on(unsigned vector, void (*handler)(void))
{
	handlers[vector] = handler;
}

void interrupt_take(void)
{
	__asm__ volatile("msr daifclr, #2; isb; msr daifset, #2" : : : "memory");
}

/* What is masked wakes from wfi all the same, so none is missed. */
void interrupt_wait(unsigned vector, uint32_t times)
{
	while (counts[vector] < times)
		__asm__ volatile("wfi; msr daifclr, #2; isb; msr daifset, #2" : : : "memory");
}

/* Counted from now: who was late does not have to catch up. */
static void await_tick(void)
{
	write_system(cntv_tval_el0, read_system(cntfrq_el0) / TIMER_HZ);
}

void interrupt_start_timer(void)
{
	interrupt_on(MACHINE_TIMER_VECTOR, await_tick);
	await_tick();
	write_system(cntv_ctl_el0, 1);
}
