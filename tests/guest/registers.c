// SPDX-License-Identifier: Apache-2.0
/*
 * registers.c - a guest that notices when one of its processors does not go on with the
 * registers that it had: x87, SSE and AVX, XCR0, debug and control registers, MSRs.  Each
 * processor has other values.  For each byte that it receives it tells how often all of them
 * have looked; at 'q' it switches off.  "cpus=N" on the command line.  Not a test by itself:
 * snapshots and migration are tested with it.
 */
#include "apic.h"
#include "interrupt.h"
#include "machine.h"
#include "payload.h"
#include "smp.h"

#define CPUS_MAX	8

/* CPUID leaves and their bits. */
#define FEATURES	1
#define FEATURES_EXT	0x80000001
#define XSAVE		(1U << 26)	/* ecx */
#define AVX		(1U << 28)	/* ecx */
#define RDTSCP		(1U << 27)	/* edx, of the extended ones */

#define CR0_MP		0x2
#define CR0_EM		0x4
#define CR4_FXSR	0x00200		/* OSFXSR, OSXMMEXCPT, OSXSAVE */
#define CR4_XMMEXCPT	0x00400
#define CR4_OSXSAVE	0x40000

#define XCR0_SSE	3		/* with x87 */
#define XCR0_AVX	7
#define XSAVE_AVX	4		/* the upper halves alone */

/* Where FXSAVE and XSAVE put what has no gaps and no bits that come and go. */
#define X87_CONTROL	0		/* control, status and tag word */
#define X87_CONTROL_LEN	5
#define MXCSR		24
#define ST0		32		/* 10 bytes of 16 each */
#define ST_LEN		10
#define XMM0		160
#define VECTORS_LEN	256
#define HEADER		512
#define YMM0_HIGH	576
#define AREA_LEN	(YMM0_HIGH + VECTORS_LEN)

/* No breakpoint is on: QEMU 7.2 ends when a guest in a guest has one. */
#define DR0_AT		UINT64_C(0x3f00000000)
#define DR6_KEPT	0x400f		/* what has been met; the others are fixed */
#define DR6_VALUE	0x4006
#define DR7_FIXED	0x400
#define DR7_VALUE	0xd7d10000	/* how long they are, and for what */

#define PAT_VALUE	UINT64_C(0x0001040507000406)	/* the first one is in use */

#define ANY		UINT64_MAX
#define WORD		UINT32_MAX
#define ADDRESS		UINT64_C(0x7fffffffffff)	/* canonical */

static const struct msr {
	uint32_t index;
	uint64_t mask;			/* of what it holds */
	const char *name;
} msrs[] = {
	{ 0x174, 0xffff, "SYSENTER_CS" },
	{ 0x175, WORD, "SYSENTER_ESP" },	/* of AMD no more than this */
	{ 0x176, WORD, "SYSENTER_EIP" },
	{ 0xc0000081, ANY, "STAR" },
	{ 0xc0000082, ADDRESS, "LSTAR" },
	{ 0xc0000083, ADDRESS, "CSTAR" },
	{ 0xc0000084, WORD, "SFMASK" },
	{ 0xc0000100, ADDRESS, "FS_BASE" },
	{ 0xc0000101, ADDRESS, "GS_BASE" },
	{ 0xc0000102, ADDRESS, "KERNEL_GS_BASE" },
	{ 0xc0000103, WORD, "TSC_AUX" },	/* the last: not each processor has it */
};

#define PAT		0x277

static uint32_t nr_cpus, nr_msrs = ARRAY_LEN(msrs);
static bool has_xsave;
static uint64_t xcr0[CPUS_MAX];
static _Alignas(64) uint8_t wanted[CPUS_MAX][AREA_LEN], found[CPUS_MAX][AREA_LEN];
static volatile uint64_t rounds[CPUS_MAX];

/* Of each register of each processor another one. */
static uint64_t value(uint32_t cpu, uint32_t i)
{
	return UINT64_C(0x9e3779b97f4a7c15) * (cpu * 256 + i + 1);
}

static uint64_t msr_value(uint32_t cpu, uint32_t i)
{
	return value(cpu, i) & msrs[i].mask;
}

static uint64_t xcr0_value(uint32_t cpu)
{
	return cpuid(FEATURES, 0).ecx & AVX && cpu % 2 == 0 ? XCR0_AVX : XCR0_SSE;
}

static uint64_t get_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* Below the class of the timer's vector. */
static uint64_t cr8_value(uint32_t cpu)
{
	return 1 + cpu % 2;
}

static void set_xcr0(uint32_t cpu)
{
	set_register("cr4", get_register("cr4") | CR4_OSXSAVE);
	xcr0[cpu] = xcr0_value(cpu);
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)xcr0[cpu]), "d"(0));
}

static void make_area(uint32_t cpu, uint8_t *area)
{
	/* The control word rounds in another way; all eight are in use, from the third on. */
	const uint8_t control[X87_CONTROL_LEN] = { 0x7f, 0x0c, 0x00, 0x19, 0xff };
	const uint32_t mxcsr = 0x3fa1 + cpu % 2 * 0x4000;

	for (uint32_t i = 0; i < AREA_LEN / 8; i++) {
		uint64_t word = value(cpu, i);

		memcpy(area + 8 * i, &word, sizeof(word));
	}
	memset(area + X87_CONTROL, 0, ST0 - X87_CONTROL);
	memcpy(area + X87_CONTROL, control, sizeof(control));
	memcpy(area + MXCSR, &mxcsr, sizeof(mxcsr));
	memset(area + HEADER, 0, YMM0_HIGH - HEADER);
	area[HEADER] = XSAVE_AVX;
}

static void load(uint32_t cpu)
{
	set_register("cr0", (get_register("cr0") | CR0_MP) & ~(uint64_t)CR0_EM);
	set_register("cr4", get_register("cr4") | CR4_FXSR | CR4_XMMEXCPT);
	if (has_xsave)
		set_xcr0(cpu);
	make_area(cpu, wanted[cpu]);
	__asm__ volatile("fxrstor64 %0" : : "m"(wanted[cpu]));
	if (xcr0[cpu] == XCR0_AVX)
		__asm__ volatile("xrstor64 %0" : : "m"(wanted[cpu]), "a"(XSAVE_AVX), "d"(0));
	set_register("cr2", value(cpu, 0));
	set_register("cr8", cr8_value(cpu));
	set_register("dr0", DR0_AT + cpu * 0x10000);
	set_register("dr1", DR0_AT + cpu * 0x10000 + 0x1008);
	set_register("dr2", DR0_AT + cpu * 0x10000 + 0x2010);
	set_register("dr3", DR0_AT + cpu * 0x10000 + 0x3018);
	set_register("dr6", DR6_VALUE ^ cpu);
	set_register("dr7", DR7_FIXED | DR7_VALUE);
	write_msr(PAT, PAT_VALUE ^ (uint64_t)(cpu % 2) << 56);
	for (uint32_t i = 0; i < nr_msrs; i++)
		write_msr(msrs[i].index, msr_value(cpu, i));
}

static void check_vectors(uint32_t cpu)
{
	const uint8_t *want = wanted[cpu], *got = found[cpu];

	__asm__ volatile("fxsave64 %0" : "=m"(found[cpu]));
	expect(!memcmp(got + X87_CONTROL, want + X87_CONTROL, X87_CONTROL_LEN),
	       "the x87 control, status and tag words are as they were");
	expect(!memcmp(got + MXCSR, want + MXCSR, 4), "MXCSR is as it was");
	for (unsigned st = ST0; st < XMM0; st += 16)
		expect(!memcmp(got + st, want + st, ST_LEN), "ST0 to ST7 are as they were");
	expect(!memcmp(got + XMM0, want + XMM0, VECTORS_LEN), "XMM0 to XMM15 are as they were");
	if (xcr0[cpu] != XCR0_AVX)
		return;
	memset(found[cpu] + YMM0_HIGH, 0, VECTORS_LEN);
	__asm__ volatile("xsave64 %0" : "+m"(found[cpu]) : "a"(XSAVE_AVX), "d"(0));
	expect(!memcmp(got + YMM0_HIGH, want + YMM0_HIGH, VECTORS_LEN),
	       "the upper halves of YMM0 to YMM15 are as they were");
}

static void check(uint32_t cpu)
{
	if (has_xsave)
		expect_eq(get_xcr0(), xcr0[cpu], "XCR0 is as it was");
	check_vectors(cpu);
	expect_eq(get_register("cr2"), value(cpu, 0), "CR2 is as it was");
	expect_eq(get_register("cr8"), cr8_value(cpu), "CR8 is as it was");
	expect_eq(get_register("dr0"), DR0_AT + cpu * 0x10000, "DR0 is as it was");
	expect_eq(get_register("dr1"), DR0_AT + cpu * 0x10000 + 0x1008, "DR1 is as it was");
	expect_eq(get_register("dr2"), DR0_AT + cpu * 0x10000 + 0x2010, "DR2 is as it was");
	expect_eq(get_register("dr3"), DR0_AT + cpu * 0x10000 + 0x3018, "DR3 is as it was");
	expect_eq(get_register("dr6") & DR6_KEPT, DR6_VALUE ^ cpu, "DR6 is as it was");
	expect_eq(get_register("dr7"), DR7_FIXED | DR7_VALUE, "DR7 is as it was");
	expect_eq(read_msr(PAT), PAT_VALUE ^ (uint64_t)(cpu % 2) << 56, "PAT is as it was");
	for (uint32_t i = 0; i < nr_msrs; i++)
		expect_eq(read_msr(msrs[i].index), msr_value(cpu, i), msrs[i].name);
}

/* At the next tick, so that the host has time for others. */
static void look_again(uint32_t cpu)
{
	check(cpu);
	rounds[cpu]++;
	interrupt_wait(MACHINE_TIMER_VECTOR, interrupt_count(MACHINE_TIMER_VECTOR) + 1);
}

/* QEMU 7.2 ends when CR8 is written while a guest in a guest has an interrupt pending. */
static void begin(uint32_t cpu)
{
	load(cpu);
	interrupt_start_timer();
}

static void look_for_ever(void)
{
	uint32_t cpu = interrupt_apic_id();

	for (begin(cpu);;)
		look_again(cpu);
}

static uint64_t fewest_rounds(void)
{
	uint64_t fewest = rounds[0];

	for (uint32_t cpu = 1; cpu < nr_cpus; cpu++)
		if (rounds[cpu] < fewest)
			fewest = rounds[cpu];
	return fewest;
}

static void answer(void)
{
	print("round ");
	print_number(fewest_rounds());
	print("\n");
}

void payload(void)
{
	uint8_t byte = 0;

	nr_cpus = (uint32_t)cmdline_number("cpus");
	expect(nr_cpus <= CPUS_MAX, "there are not too many processors");
	has_xsave = cpuid(FEATURES, 0).ecx & XSAVE;
	if (!(cpuid(FEATURES_EXT, 0).edx & RDTSCP))
		nr_msrs--;
	for (uint32_t cpu = 1; cpu < nr_cpus; cpu++) {
		smp_start(cpu, look_for_ever);
		while (!rounds[cpu])
			relax();
	}
	begin(0);
	print("READY, XCR0 is ");
	print_hex(xcr0[0]);
	print("\n");
	while (byte != 'q') {
		look_again(0);
		if (take_byte(&byte) && byte != 'q')
			answer();
	}
}
