/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - where payloads for both architectures find what they drive. */
#ifndef TESTS_GUEST_LIB_ARM64_MACHINE_H
#define TESTS_GUEST_LIB_ARM64_MACHINE_H

#include "io.h"

#define MACHINE_PROTOCOL	FROM_DEVICE_TREE
#define MACHINE_ECAM		UINT64_C(0x3e000000)
#define MACHINE_BUSES_BEHIND	31
#define MACHINE_BARS_AT		UINT64_C(0x30000000)	/* free room for them */
#define MACHINE_UART_PIN	0		/* SPI */
#define MACHINE_UART_VECTOR	32

#define MACHINE_UART		UINT64_C(0x09000000)
#define MACHINE_RTC		UINT64_C(0x09010000)
#define MACHINE_GPIO		UINT64_C(0x09020000)
#define MACHINE_GPIO_PIN	1
#define MACHINE_GPIO_VECTOR	33
#define MACHINE_TIMER_VECTOR	27		/* virtual timer: private, no pin */
#define MACHINE_NOBODY		UINT64_C(0x20000000)

static inline uint8_t uart_read(unsigned reg)
{
	return read8(MACHINE_UART + reg);
}

static inline void uart_write(unsigned reg, uint8_t value)
{
	write8(MACHINE_UART + reg, value);
}

/* Stores before are seen before stores after, and loads before done before loads after. */
static inline void ordered(void)
{
	__asm__ volatile("dmb ish" : : : "memory");
}

/* And stores before are seen before loads after. */
static inline void ordered_with_loads(void)
{
	ordered();
}

/* A counter that goes on at an even pace. */
static inline uint64_t machine_ticks(void)
{
	__asm__ volatile("isb" : : : "memory");
	return read_system(cntvct_el0);
}

/* Until an interrupt would come, which is not taken; or without a cause. */
static inline void machine_sleep(void)
{
	__asm__ volatile("wfi");
}

/* To the console. */
void machine_print(char byte);

/* By PSCI's SYSTEM_RESET, 0, or by its SYSTEM_RESET2, 1. */
_Noreturn void machine_reset(unsigned way);

/* A property of the device tree, of the first node that has it; NULL: none has. */
const void *machine_property(const char *name, uint32_t *ret_len);

/* One of 8 bytes, or of 4; fails when there is none. */
uint64_t machine_number(const char *name);

#endif
