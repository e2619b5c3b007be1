// SPDX-License-Identifier: Apache-2.0
/*
 * restart.c - restarts itself at once, and would for ever.  Not a test by itself:
 * tests of actions use it.
 */
#include "machine.h"
#include "payload.h"

void payload(void)
{
	print("READY\n");
	machine_reset(0);
}
