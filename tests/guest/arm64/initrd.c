// SPDX-License-Identifier: Apache-2.0
/*
 * initrd.c - the device tree says where the initrd is, and it is there.
 */
#include "machine.h"
#include "payload.h"

#define INITRD_LEN	5000		/* run.py makes the file */

void payload(void)
{
	uint64_t at = machine_number("linux,initrd-start");

	expect_eq(machine_number("linux,initrd-end") - at, INITRD_LEN, "it has the file's length");
	expect(at % 4096 == 0, "it begins with a page");
	expect_eq(read8(at), 'b', "the first byte");
	expect_eq(read8(at + INITRD_LEN - 1), 'e', "the last byte");
	expect_eq(read8(at + INITRD_LEN), 0, "nothing behind");
}
