/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat.S - a guest that says something on COM1 again and again, so that whoever restores
 * it knows when it goes on.
 */
#include "pvh.h"

	mov	$0x3f8, %dx
	mov	$'B', %al
1:	out	%al, %dx
	jmp	1b
