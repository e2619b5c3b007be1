/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - where payloads for both architectures find what they drive: a PC. */
#ifndef TESTS_GUEST_LIB_X86_MACHINE_H
#define TESTS_GUEST_LIB_X86_MACHINE_H

#include "io.h"

#define MACHINE_PROTOCOL	FROM_PVH	/* that of the file built here */
#define MACHINE_ECAM		UINT64_C(0xe0000000)
#define MACHINE_BUSES_BEHIND	0
#define MACHINE_BARS_AT		UINT64_C(0xc1000000)	/* free room for them */
#define MACHINE_UART_PIN	4
#define MACHINE_UART_VECTOR	0x24
#define MACHINE_TIMER_VECTOR	0x31

static inline uint8_t uart_read(unsigned reg)
{
	return in8((uint16_t)(0x3f8 + reg));
}

static inline void uart_write(unsigned reg, uint8_t value)
{
	out8((uint16_t)(0x3f8 + reg), value);
}

/* Stores before stores after, and loads before loads after: as ever on x86. */
static inline void ordered(void)
{
	__asm__ volatile("" : : : "memory");
}

/* And stores before are seen before loads after. */
static inline void ordered_with_loads(void)
{
	__asm__ volatile("lock addl $0, (%%rsp)" : : : "memory");
}

/* A counter that goes on at an even pace. */
static inline uint64_t machine_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Until an interrupt would come, which is not taken; or without a cause. */
static inline void machine_sleep(void)
{
	__asm__ volatile("cli; hlt");
}

/* To the console. */
void machine_print(char byte);

/* By ACPI's reset register, 0, or by the keyboard controller's line, 1. */
_Noreturn void machine_reset(unsigned way);

#endif
