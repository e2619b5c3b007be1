// SPDX-License-Identifier: Apache-2.0
/*
 * bzimage.c - a bzImage is entered in long mode, with a zero page that holds its
 * own header and what the loader adds.
 */
#include "io.h"
#include "payload.h"

#define HEADER_BOOT_FLAG	0x1fe
#define HEADER_MAGIC		0x202
#define HEADER_LOADER		0x210

void payload(void)
{
	expect_eq(boot.protocol, FROM_LINUX64, "a bzImage is entered at its 64-bit entry");
	expect_eq(read16(boot.arg + HEADER_BOOT_FLAG), 0xaa55, "the zero page has the header");
	expect(!memcmp((const void *)(boot.arg + HEADER_MAGIC), "HdrS", 4), "and its magic");
	expect_eq(read8(boot.arg + HEADER_LOADER), 0xff, "the loader says that it is one");
	expect(same_text(boot.cmdline, "hello bzImage"), "the command line");
	expect(boot.nr_ranges >= 3, "the memory map");
	expect(!memcmp((const void *)boot.rsdp, "RSD PTR ", 8), "the RSDP");
}
