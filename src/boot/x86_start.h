/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_start.h - what the first instruction of an x86_64 kernel needs in RAM.
 */
#ifndef BOOT_X86_START_H
#define BOOT_X86_START_H

#include "boot/boot.h"

/* The GDT and, for long mode, page tables that map 4 GiB onto themselves. */
int x86_start_write(struct guest_mem *mem, enum boot_mode mode);

#endif
