/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat.S - a guest that says something on COM1 again and again, so that whoever restores
 * it knows when it goes on.
 *
 * An ELF kernel with a PVH note, entered in 32-bit protected mode.
 */
	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name, desc, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
	mov	$0x3f8, %dx
	mov	$'B', %al
1:	out	%al, %dx
	jmp	1b
