// SPDX-License-Identifier: Apache-2.0
/*
 * initrd.c - the initrd is in memory as the file is, and the start info names it.
 */
#include "io.h"
#include "payload.h"

#define NR_MODULES	12
#define MODULES		16
#define INITRD_LEN	5000		/* run.py makes the file */

void payload(void)
{
	uint64_t module = read64(boot.arg + MODULES), at = read64(module);

	expect_eq(read32(boot.arg + NR_MODULES), 1, "one module");
	expect_eq(read64(module + 8), INITRD_LEN, "it has the file's length");
	expect(at % 4096 == 0, "it begins with a page");
	expect_eq(read8(at), 'b', "the first byte");
	expect_eq(read8(at + INITRD_LEN - 1), 'e', "the last byte");
	expect_eq(read8(at + INITRD_LEN), 0, "nothing behind");
}
