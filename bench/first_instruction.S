/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_instruction.S - a guest whose first act is to say so on COM1.
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
	mov	$'R', %al
	out	%al, %dx
1:	hlt
	jmp	1b
