// SPDX-License-Identifier: Apache-2.0
/*
 * deaf.c - heeds nothing, the power button least.  Not a test by itself: tests
 * of how a guest is ended use it.
 */
#include "machine.h"
#include "payload.h"

void payload(void)
{
	print("READY\n");
	for (;;)
		machine_sleep();
}
