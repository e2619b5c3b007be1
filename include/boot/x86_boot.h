/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_boot.h - the segments in which the first vCPU of an x86_64 guest starts.
 *
 * Both protocols want flat segments whose descriptors also lie in a GDT in
 * guest RAM, at boot_entry.gdt.  The hidden parts of the segment registers are
 * to be decoded from the same descriptors, so that reloading a selector in the
 * guest changes nothing.
 */
#ifndef BOOT_X86_BOOT_H
#define BOOT_X86_BOOT_H

#include <stdint.h>

/* Selectors; 0x10 and 0x18 are fixed by the Linux 64-bit boot protocol. */
#define X86_BOOT_CS	0x10
#define X86_BOOT_DS	0x18		/* also ES, FS, GS, SS */
#define X86_BOOT_TSS	0x20		/* two entries in long mode */
#define X86_BOOT_GDT_LEN 0x30		/* bytes; the limit is one less */

/* Descriptors, accessed resp. busy already; base 0 in all. */
#define X86_BOOT_DESC_CODE64 UINT64_C(0x00af9b000000ffff)	/* BOOT_LINUX64 */
#define X86_BOOT_DESC_CODE32 UINT64_C(0x00cf9b000000ffff)	/* BOOT_PVH */
#define X86_BOOT_DESC_DATA   UINT64_C(0x00cf93000000ffff)
#define X86_BOOT_DESC_TSS    UINT64_C(0x00008b0000000067)

#endif
