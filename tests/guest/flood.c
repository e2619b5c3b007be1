// SPDX-License-Identifier: Apache-2.0
/*
 * flood.c - lines=N lines of 64 bytes on the console, then the end at once: none may be lost.
 * Not a test by itself.
 */
#include "payload.h"

void payload(void)
{
	static char line[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
	uint64_t lines = cmdline_number("lines");

	for (uint64_t i = 0; i < lines; i++)
		print(line);
}
