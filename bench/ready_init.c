// SPDX-License-Identifier: Apache-2.0
/*
 * ready_init.c - an /init that says "READY" and does nothing more, so that the
 * time to it is the monitor's and the kernel's alone.  Needs no C library.
 */
#include <sys/syscall.h>

static long call(long nr, long a, const void *b, long c)
{
	long res;

	__asm__ volatile("syscall" : "=a"(res) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return res;
}

void _start(void);

void _start(void)
{
	call(SYS_write, 1, "READY\n", 6);
	for (;;)
		call(SYS_pause, 0, 0, 0);
}
