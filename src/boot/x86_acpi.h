/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_acpi.h - the machine as it is told to the guest: hardware-reduced ACPI.
 *
 * Everything that the guest would otherwise probe for is said here to be
 * absent, since each probe of a missing legacy device costs exits to us.
 */
#ifndef BOOT_X86_ACPI_H
#define BOOT_X86_ACPI_H

#include "memory/guest_mem.h"

#include <stddef.h>
#include <stdint.h>

struct aml;
struct boot_config;
struct err;

/* The DSDT names a CPU by three hexadecimal digits; the area may end before. */
#define X86_ACPI_CPUS_MAX 0x1000

/* All tables, the RSDP first, to X86_ACPI_AT.  -ENOSPC: too many CPUs. */
int x86_acpi_write(struct guest_mem *mem, const struct boot_config *config,
		   struct err *err);

/*
 * The same into zeroed bytes, as they are to lie at X86_ACPI_AT.  Returns their
 * length, 0 when cap is too small.
 */
size_t x86_acpi_build(uint8_t *bytes, size_t cap, const struct boot_config *config);

/* The DSDT without its header. */
void x86_acpi_write_dsdt(struct aml *aml, const struct boot_config *config);

#endif
