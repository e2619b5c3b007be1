// SPDX-License-Identifier: Apache-2.0
/*
 * beat_init.c - an /init that says something every few milliseconds, so that whoever
 * restores or moves it knows when it goes on.  Each time it writes to PAGES pages of
 * MIB of memory, in turn.  Needs no C library.
 */
#include <sys/syscall.h>

#ifndef MIB
#define MIB 1
#define PAGES 0
#endif
#define PERIOD_NS 5000000

static volatile char memory[MIB << 20];

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
	unsigned long at = 0;

	for (unsigned long i = 0; i < sizeof(memory); i += 4096)
		memory[i] = 1;
	for (;;) {
		for (unsigned i = 0; i < PAGES; i++, at = (at + 4096) % sizeof(memory))
			memory[at]++;
		call(SYS_write, 1, "B", 1);
		call(SYS_nanosleep, (long)period, 0, 0);
	}
}
