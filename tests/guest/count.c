// SPDX-License-Identifier: Apache-2.0
/*
 * count.c - counts in the word at 16 MiB as fast as it can.  Not a test by itself: how
 * fast a guest runs is seen by it.
 */
#include "payload.h"

#define COUNTER UINT64_C(0x1000000)

static void count(void)
{
	volatile uint64_t *counter = (volatile uint64_t *)COUNTER;

	for (;;)
		++*counter;
}

void payload(void)
{
	user_call(count);
}
