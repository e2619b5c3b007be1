/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_instruction.S - a guest whose first act is to say so on COM1.
 */
#include "pvh.h"

	mov	$0x3f8, %dx
	mov	$'R', %al
	out	%al, %dx
1:	hlt
	jmp	1b
