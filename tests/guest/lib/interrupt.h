/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt.h - vectors, the local APIC and the I/O APIC.
 *
 * Interrupts are off but for the time spent in interrupt_wait().
 */
#ifndef TESTS_GUEST_LIB_INTERRUPT_H
#define TESTS_GUEST_LIB_INTERRUPT_H

#include <stdint.h>

#define VECTOR_FIRST	0x20		/* below are the exceptions */
#define VECTORS		0x40

/* What a stub of start.S leaves on the stack. */
struct interrupt_frame {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

void interrupt_init(void);

/* Switch on this processor's local APIC, in the mode that it is in. */
void interrupt_enable_apic(void);

/* 32 bits; from the local APIC. */
uint32_t interrupt_apic_id(void);

void interrupt_enter_x2apic(void);

/* To another processor's local APIC; command is ICR's low half. */
void interrupt_send(uint32_t apic_id, uint32_t command);

/* Lead an I/O APIC pin to a vector of this processor: edge, active high. */
void interrupt_route_pin(unsigned pin, unsigned vector);

/* How often the vector was raised so far. */
uint32_t interrupt_count(unsigned vector);

/* Called for each, before it is acknowledged. */
void interrupt_on(unsigned vector, void (*handler)(void));

/* Halt until the vector has been raised that often in all. */
void interrupt_wait(unsigned vector, uint32_t times);

#endif
