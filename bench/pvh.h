/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PVH_H
#define BENCH_PVH_H

/*
 * pvh.h - how the guests of benchmarks begin: an ELF kernel with a PVH note, entered in
 * 32-bit protected mode at what follows this.
 */
	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name, desc, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:

#endif
