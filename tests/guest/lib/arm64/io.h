/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - the instructions by which a guest reaches its machine: one plain load or store
 * each, of the kind that tells KVM what it does.
 */
#ifndef TESTS_GUEST_LIB_ARM64_IO_H
#define TESTS_GUEST_LIB_ARM64_IO_H

#include <stdint.h>

static inline void write8(uint64_t at, uint8_t value)
{
	__asm__ volatile("strb %w0, [%1]" : : "rZ"(value), "r"(at) : "memory");
}

static inline void write16(uint64_t at, uint16_t value)
{
	__asm__ volatile("strh %w0, [%1]" : : "rZ"(value), "r"(at) : "memory");
}

static inline void write32(uint64_t at, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" : : "rZ"(value), "r"(at) : "memory");
}

static inline void write64(uint64_t at, uint64_t value)
{
	__asm__ volatile("str %x0, [%1]" : : "rZ"(value), "r"(at) : "memory");
}

static inline uint8_t read8(uint64_t at)
{
	uint8_t value;

	__asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static inline uint16_t read16(uint64_t at)
{
	uint16_t value;

	__asm__ volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static inline uint32_t read32(uint64_t at)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static inline uint64_t read64(uint64_t at)
{
	uint64_t value;

	__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(at) : "memory");
	return value;
}

#define read_system(name)							\
	({									\
		uint64_t value_;						\
		__asm__ volatile("mrs %0, " #name : "=r"(value_) : : "memory");	\
		value_;								\
	})

#define write_system(name, value)						\
	__asm__ volatile("msr " #name ", %x0; isb" : : "rZ"((uint64_t)(value)) : "memory")

static inline void relax(void)
{
	__asm__ volatile("yield" : : : "memory");
}

/* Call the hypervisor, as PSCI and its relatives want it. */
static inline uint64_t hypercall(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	return x0;
}

#define PSCI_VERSION		0x84000000
#define PSCI_CPU_OFF		0x84000002
#define PSCI_SYSTEM_OFF		0x84000008
#define PSCI_SYSTEM_RESET	0x84000009
#define PSCI_SYSTEM_RESET2	0xc4000012
#define PSCI_CPU_ON		0xc4000003
#define PSCI_AFFINITY_INFO	0xc4000004

#endif
