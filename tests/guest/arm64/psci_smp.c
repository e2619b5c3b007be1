// SPDX-License-Identifier: Apache-2.0
/*
 * psci_smp.c - PSCI starts each processor, 16 of them to a cluster, once, and tells of it.
 */
#include "machine.h"
#include "payload.h"
#include "smp.h"

#define MPIDR_AFFINITY	UINT64_C(0xff00ffffff)
#define ALREADY_ON	-4
#define INVALID		-2
#define STATE_ON	0
#define STATE_OFF	1

static volatile uint64_t reports[SMP_CPUS_MAX];

static void report(uint64_t id)
{
	reports[id] = (read_system(mpidr_el1) & MPIDR_AFFINITY) | 1U << 31;
}

static uint64_t mpidr_of(uint64_t id)
{
	return (id & 0xf) | id >> 4 << 8;
}

void payload(void)
{
	uint64_t cpus = cmdline_number("cpus");

	expect_eq(read_system(mpidr_el1) & MPIDR_AFFINITY, 0, "the first processor runs");
	expect_eq((uint64_t)smp_start(0, report, 0), (uint64_t)ALREADY_ON,
		  "the first processor is on");
	expect_eq((uint64_t)smp_start(mpidr_of(cpus), report, 0), (uint64_t)INVALID,
		  "there is no further processor");
	for (uint64_t id = 1; id < cpus; id++) {
		expect_eq(hypercall(PSCI_AFFINITY_INFO, mpidr_of(id), 0, 0), STATE_OFF,
			  "it is off at first");
		expect_eq((uint64_t)smp_start(mpidr_of(id), report, id), 0, "it starts");
		while (!reports[id])
			relax();
		expect_eq(reports[id], mpidr_of(id) | 1U << 31, "it has its own MPIDR");
		while (hypercall(PSCI_AFFINITY_INFO, mpidr_of(id), 0, 0) == STATE_ON)
			relax();
	}
}
