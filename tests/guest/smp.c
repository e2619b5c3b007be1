// SPDX-License-Identifier: Apache-2.0
/*
 * smp.c - every processor starts by INIT and STARTUP, and finds itself to be
 * the one that it was started as: by its local APIC, in both modes, and by CPUID.
 */
#include "smp.h"
#include "apic.h"
#include "io.h"
#include "payload.h"

#define LEAF_FEATURES	1
#define LEAF_TOPOLOGY	0xb
#define LEVEL_THREAD	1
#define LEVEL_CORE	2

struct report {
	uint32_t apic, x2apic, initial;
	uint32_t thread, core, topology_id, nr_threads, nr_cores, core_shift;
	volatile bool done;
};

static struct report reports[SMP_CPUS_MAX];

static void report(void)
{
	uint32_t id = interrupt_apic_id();
	struct report *r = &reports[id % SMP_CPUS_MAX];
	struct cpuid thread = cpuid(LEAF_TOPOLOGY, 0), core = cpuid(LEAF_TOPOLOGY, 1);

	r->apic = id;
	interrupt_enter_x2apic();
	r->x2apic = interrupt_apic_id();
	r->initial = cpuid(LEAF_FEATURES, 0).ebx >> 24;
	r->thread = thread.ecx >> 8 & 0xff;
	r->core = core.ecx >> 8 & 0xff;
	r->topology_id = thread.edx;
	r->nr_threads = thread.ebx & 0xffff;
	r->nr_cores = core.ebx & 0xffff;
	r->core_shift = core.eax & 0x1f;
	r->done = true;
}

static void check(uint32_t id, uint32_t cpus)
{
	const struct report *r = &reports[id];

	expect_eq(r->apic, id, "the local APIC's id");
	expect_eq(r->x2apic, id, "the local APIC's id in x2APIC mode");
	expect_eq(r->initial, id, "the initial APIC id of CPUID leaf 1");
	if (cpuid(0, 0).eax < LEAF_TOPOLOGY)
		return;
	expect_eq(r->topology_id, id, "the APIC id of CPUID leaf 0xb");
	expect_eq(r->thread, LEVEL_THREAD, "the first level of leaf 0xb is threads");
	expect_eq(r->nr_threads, 1, "a core has one thread");
	expect_eq(r->core, LEVEL_CORE, "the second level of leaf 0xb is cores");
	expect_eq(r->nr_cores, cpus, "all cores are in one package");
	expect(1U << r->core_shift >= cpus, "all APIC ids fit below the package's");
	expect(cpus == 1 || 1U << (r->core_shift - 1) < cpus, "and no bit is to spare");
}

void payload(void)
{
	uint32_t cpus = (uint32_t)cmdline_number("cpus");

	for (uint32_t id = 1; id < cpus; id++) {
		smp_start(id, report);
		while (!reports[id].done)
			relax();
	}
	report();
	for (uint32_t id = 0; id < cpus; id++)
		check(id, cpus);
}
