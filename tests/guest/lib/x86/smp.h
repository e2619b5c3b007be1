/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.h - the processors besides the first.
 */
#ifndef TESTS_GUEST_LIB_X86_SMP_H
#define TESTS_GUEST_LIB_X86_SMP_H

#include <stdint.h>

#define SMP_CPUS_MAX	64

/* Start the processor with this APIC id; it runs body() once and halts. */
void smp_start(uint32_t apic_id, void (*body)(void));

#endif
