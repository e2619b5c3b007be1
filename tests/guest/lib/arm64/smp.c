// SPDX-License-Identifier: Apache-2.0
#include "smp.h"

#include "io.h"

#define STACK_LEN	4096

static _Alignas(16) char stacks[SMP_CPUS_MAX][STACK_LEN];

/* What a new processor finds by the context that PSCI hands on; start.S knows it. */
struct start {
	uint64_t stack;
	void (*body)(uint64_t arg);
	uint64_t arg;
};

static struct start starts[SMP_CPUS_MAX];

extern const char smp_entry[];		/* start.S */

_Noreturn void smp_other_start(const struct start *start);

void smp_other_start(const struct start *start)
{
	start->body(start->arg);
	hypercall(PSCI_CPU_OFF, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

int64_t smp_start(uint64_t mpidr, void (*body)(uint64_t arg), uint64_t arg)
{
	static unsigned nr;
	struct start *start = &starts[nr];

	*start = (struct start){ (uint64_t)stacks[nr] + STACK_LEN, body, arg };
	nr++;
	__asm__ volatile("dsb ish" : : : "memory");
	return (int64_t)hypercall(PSCI_CPU_ON, mpidr, (uint64_t)smp_entry, (uint64_t)start);
}
