/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.S - a guest that writes to each page of 64 MiB of its memory, for each byte that
 * comes on COM1, and then says so.
 */
#include "pvh.h"

	.set	PAGES, 64 * 256
	.set	AT, 0x10000000

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
