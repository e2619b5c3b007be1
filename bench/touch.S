/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.S - a guest that fills 448 MiB of its memory and, for each byte that comes on COM1,
 * reads one page in 224 KiB of that, here and there, and then says so.
 */
#include "pvh.h"

	.set	AT, 0x2000000
	.set	PAGES, 2048
	.set	APART, 56 * 4096

	mov	$AT, %edi
1:	mov	%edi, (%edi)
	add	$4096, %edi
	cmp	$(AT + PAGES * APART), %edi
	jne	1b
done:	mov	$0x3f8, %dx
	mov	$'D', %al
	out	%al, %dx
wait:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	wait
	mov	$0x3f8, %dx
	in	%dx, %al
	xor	%ecx, %ecx
1:	imul	$1021, %ecx, %eax	/* odd: each comes once */
	and	$(PAGES - 1), %eax
	imul	$APART, %eax, %eax
	mov	AT(%eax), %ebx
	inc	%ecx
	cmp	$PAGES, %ecx
	jne	1b
	jmp	done
