/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic.h - what of interrupts only x86 has: exceptions, the local APIC.
 */
#ifndef TESTS_GUEST_LIB_X86_APIC_H
#define TESTS_GUEST_LIB_X86_APIC_H

#include <stdint.h>

#define VECTOR_FIRST	0x20		/* below are the exceptions */

/* What a stub of start.S leaves on the stack. */
struct interrupt_frame {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Switch on this processor's local APIC, in the mode that it is in. */
void interrupt_enable_apic(void);

/* 32 bits; from the local APIC. */
uint32_t interrupt_apic_id(void);

void interrupt_enter_x2apic(void);

/* To another processor's local APIC; command is ICR's low half. */
void interrupt_send(uint32_t apic_id, uint32_t command);

#endif
