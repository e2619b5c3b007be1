// SPDX-License-Identifier: Apache-2.0
/*
 * cmdline.c - the kernel's command line arrives as it was given.
 */
#include "machine.h"
#include "payload.h"

void payload(void)
{
	expect_eq(boot.protocol, MACHINE_PROTOCOL, "the kernel is entered by its own protocol");
	expect(same_text(boot.cmdline, "root=/dev/vda  \"two words\", a=b,c"),
	       "the command line arrives as it was given");
}
