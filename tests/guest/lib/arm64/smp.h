/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.h - the processors besides the first.
 */
#ifndef TESTS_GUEST_LIB_ARM64_SMP_H
#define TESTS_GUEST_LIB_ARM64_SMP_H

#include <stdint.h>

#define SMP_CPUS_MAX	64

/* Start the processor with this MPIDR; it runs body(arg) once and switches itself off. */
int64_t smp_start(uint64_t mpidr, void (*body)(uint64_t arg), uint64_t arg);

#endif
