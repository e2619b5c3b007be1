// SPDX-License-Identifier: Apache-2.0
/*
 * features.c - what the processor says that it can, it does: count events, SVE, and
 * pointer authentication.  It prints which there are.
 */
#include "interrupt.h"
#include "io.h"
#include "machine.h"
#include "payload.h"

#define CYCLES		(UINT64_C(1) << 31)	/* the bit of the cycle counter */
#define PMCR_ENABLE	1
#define PMCR_RESET	4			/* the cycle counter */
#define PMCR_LONG	0x40			/* it has 64 bits */
#define PMU_VECTOR	23

#define CPACR_FP_SVE	0x330000		/* neither is trapped */
#define VECTOR_MAX	256			/* bytes */

#define SCTLR_EN_IA	(UINT64_C(1) << 31)	/* instruction key A is in use */

static volatile bool overflowed;

/* A field of 4 bits of an identification register. */
static uint64_t field(uint64_t value, unsigned shift)
{
	return value >> shift & 0xf;
}

static void end_overflow(void)
{
	overflowed = read_system(pmovsclr_el0) & CYCLES;
	write_system(pmovsclr_el0, CYCLES);
}

static void use_pmu(void)
{
	uint64_t before;

	/* What these are after a reset the architecture does not say. */
	write_system(pmcntenclr_el0, UINT32_MAX);
	write_system(pmintenclr_el1, UINT32_MAX);
	write_system(pmovsclr_el0, UINT32_MAX);
	interrupt_on(PMU_VECTOR, end_overflow);
	interrupt_enable_own(PMU_VECTOR);
	write_system(pmccfiltr_el0, 0);
	write_system(pmcr_el0, PMCR_ENABLE | PMCR_RESET | PMCR_LONG);
	write_system(pmcntenset_el0, CYCLES);
	before = read_system(pmccntr_el0);
	for (unsigned i = 0; i < 1000; i++)
		relax();
	expect(read_system(pmccntr_el0) > before, "cycles are counted");

	write_system(pmintenset_el1, CYCLES);
	write_system(pmccntr_el0, -UINT64_C(10000000));
	while (!interrupt_count(PMU_VECTOR))
		interrupt_take();
	write_system(pmcntenclr_el0, CYCLES);
	expect(overflowed, "the counter that overflowed interrupts");
	print("pmu\n");
}

static void use_sve(void)
{
	static _Alignas(16) uint8_t bytes[VECTOR_MAX];
	uint64_t len;

	write_system(cpacr_el1, CPACR_FP_SVE);
	write_system(S3_0_C1_C2_0, 0xf);		/* ZCR_EL1: as long as can be */
	__asm__ volatile(".arch_extension sve; rdvl %0, #1" : "=r"(len));
	expect(len >= 16 && len <= VECTOR_MAX, "a vector has 16 to 256 bytes");
	__asm__ volatile(".arch_extension sve; dup z31.b, #0x5a");
	print("sve ");					/* leaves the guest and comes back */
	print_number(len * 8);
	print("\n");
	__asm__ volatile(".arch_extension sve; str z31, [%0]" : : "r"(bytes) : "memory");
	for (uint64_t i = 0; i < VECTOR_MAX; i++)
		expect_eq(bytes[i], i < len ? 0x5a : 0, "a byte of the vector");
}

static uint64_t sign(uint64_t pointer, uint64_t context)
{
	__asm__ volatile(".arch_extension pauth; pacia %0, %1" : "+r"(pointer) : "r"(context));
	return pointer;
}

static uint64_t authenticate(uint64_t pointer, uint64_t context)
{
	__asm__ volatile(".arch_extension pauth; autia %0, %1" : "+r"(pointer) : "r"(context));
	return pointer;
}

static void set_key(uint64_t key)
{
	write_system(S3_0_C2_C1_0, key);		/* APIAKeyLo_EL1 */
	write_system(S3_0_C2_C1_1, ~key);		/* APIAKeyHi_EL1 */
}

static void use_pauth(void)
{
	const uint64_t pointer = 0x40200000, context = 77;
	uint64_t by_one, by_other;

	write_system(sctlr_el1, read_system(sctlr_el1) | SCTLR_EN_IA);
	set_key(0x1111222233334444);
	by_one = sign(pointer, context);
	set_key(0x5555666677778888);
	by_other = sign(pointer, context);
	expect(by_one != pointer && by_other != pointer, "a pointer is signed");
	expect(by_one != by_other, "by the key that is set");
	print("pauth\n");				/* leaves the guest and comes back */
	expect_eq(sign(pointer, context), by_other, "the key stays");
	expect_eq(authenticate(by_other, context), pointer, "the signature is right");
}

void payload(void)
{
	uint64_t pmu = field(read_system(id_aa64dfr0_el1), 8);
	uint64_t isar1 = read_system(id_aa64isar1_el1);
	uint64_t isar2 = read_system(S3_0_C0_C6_2);

	if (pmu && pmu != 0xf)
		use_pmu();
	if (field(read_system(id_aa64pfr0_el1), 32))
		use_sve();
	if (field(isar1, 4) || field(isar1, 8) || field(isar2, 12))
		use_pauth();
}
