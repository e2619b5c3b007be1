/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.S - a guest that writes to each page of MIB of its memory, says so on COM1, and
 * goes on writing to one page after the other of the first HOT_MIB of it, one each TICKS
 * of the time stamp counter.  With 0 ticks it sleeps instead.
 */
#include "pvh.h"

	.set	AT, 0x10000000

	mov	$(MIB << 8), %ecx
	mov	$AT, %edi
first:	incl	(%edi)
	add	$4096, %edi
	dec	%ecx
	jnz	first
	mov	$0x3f8, %dx
	mov	$'D', %al
	out	%al, %dx
.if TICKS
again:	mov	$(HOT_MIB << 8), %ecx
	mov	$AT, %edi
page:	rdtsc
	mov	%eax, %esi
wait:	rdtsc
	sub	%esi, %eax
	cmp	$TICKS, %eax
	jb	wait
	incl	(%edi)
	add	$4096, %edi
	dec	%ecx
	jnz	page
	jmp	again
.else
	cli
sleep:	hlt
	jmp	sleep
.endif
