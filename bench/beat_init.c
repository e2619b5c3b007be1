// SPDX-License-Identifier: Apache-2.0
/*
 * beat_init.c - an /init that says something every few milliseconds, so that whoever
 * restores it knows when it goes on.  Needs no C library.
 */
#include <sys/syscall.h>

#define PERIOD_NS 5000000

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
	static const long period[2] = { 0, PERIOD_NS };

	for (;;) {
		call(SYS_write, 1, "B", 1);
		call(SYS_nanosleep, (long)period, 0, 0);
	}
}
