/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.S - a guest that writes to each page of 64 MiB of its memory, for each byte that
 * comes on COM1, and then says so.
 *
 * An ELF kernel with a PVH note, entered in 32-bit protected mode.
 */
	.set	PAGES, 64 * 256
	.set	AT, 0x10000000

	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name, desc, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
	mov	$0x3f8, %dx
	mov	$'D', %al
	out	%al, %dx
	inc	%ebx			/* another value each time */
wait:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	wait
	mov	$0x3f8, %dx
	in	%dx, %al
	mov	$PAGES, %ecx
	mov	$AT, %edi
1:	mov	%ebx, (%edi)
	add	$4096, %edi
	dec	%ecx
	jnz	1b
	jmp	start
