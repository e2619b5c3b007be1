// SPDX-License-Identifier: Apache-2.0
#include "smp.h"

#include "apic.h"
#include "payload.h"

#define TRAMPOLINE_AT	0x10000		/* free RAM below 1 MiB, a page's begin */
#define STACK_LEN	4096

#define SEND_INIT	0x4500
#define SEND_STARTUP	0x4600

extern const char smp_trampoline[], smp_trampoline_end[];

static _Alignas(16) char stacks[SMP_CPUS_MAX][STACK_LEN];
uint64_t smp_stack = (uint64_t)stacks + STACK_LEN;	/* of the next to come */

static void (*volatile job)(void);

/* From start.S. */
_Noreturn void smp_other_start(void);

void smp_other_start(void)
{
	job();
	for (;;)
		__asm__ volatile("cli; hlt");
}

void smp_start(uint32_t apic_id, void (*body)(void))
{
	job = body;
	memcpy((void *)TRAMPOLINE_AT, smp_trampoline,
	       (size_t)(smp_trampoline_end - smp_trampoline));
	interrupt_enable_apic();
	interrupt_send(apic_id, SEND_INIT);
	interrupt_send(apic_id, SEND_STARTUP | TRAMPOLINE_AT >> 12);
}
