/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.h - interrupts by number: a vector of x86; of arm64 that of a wire or a
 * message (an LPI, counted from the first).
 *
 * Interrupts are off but for the time spent in interrupt_wait().
 */
#ifndef TESTS_GUEST_LIB_INTERRUPT_H
#define TESTS_GUEST_LIB_INTERRUPT_H

#include <stdint.h>

#define VECTORS		0x40

void interrupt_init(void);

/* Lead a device's wire to a vector of this processor; of arm64 it is the wire's own. */
void interrupt_route_pin(unsigned pin, unsigned vector);

/* Of arm64: one that is this processor's own, such as its counters'; without halting. */
void interrupt_enable_own(unsigned vector);
void interrupt_take(void);

/* What the function in this place of the PCI buses is to write to raise the vector. */
void interrupt_message(unsigned place, unsigned vector, uint64_t *ret_at, uint32_t *ret_data);

/* How often the vector was raised so far. */
uint32_t interrupt_count(unsigned vector);

/* Called for each, before it is acknowledged. */
void interrupt_on(unsigned vector, void (*handler)(void));

/* Halt until the vector has been raised that often in all. */
void interrupt_wait(unsigned vector, uint32_t times);

/* From now on this processor's timer raises MACHINE_TIMER_VECTOR many times a second. */
void interrupt_start_timer(void);

#endif
