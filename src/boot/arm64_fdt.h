/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_fdt.h - the device tree by which an arm64 guest knows its machine
 * (https://www.devicetree.org/specifications, and the bindings of Linux).
 */
#ifndef BOOT_ARM64_FDT_H
#define BOOT_ARM64_FDT_H

#include "boot/boot.h"
#include "boot/initrd.h"

struct err;

/* To ARM64_FDT_AT.  initrd->len 0: there is none. */
int arm64_fdt_write(struct guest_mem *mem, const struct boot_config *config,
		    const struct initrd *initrd, struct err *err);

/* What was written there, to a file. */
int arm64_fdt_dump(const struct guest_mem *mem, const char *path, struct err *err);

#endif
