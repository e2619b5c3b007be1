// SPDX-License-Identifier: Apache-2.0
/*
 * high_memory.c - with 5 GiB of RAM the part that has no room below the PCI hole
 * lies above 4 GiB, and is memory of its own.
 */
#include "io.h"
#include "payload.h"

#define LOW_END		(3 * GiB)
#define NOBODY		UINT64_C(0xd0000000)
#define HIGH_AT		(4 * GiB)
#define HIGH_LEN	(2 * GiB)

static const struct memory_range *ram_from(uint64_t at)
{
	for (unsigned i = 0; i < boot.nr_ranges; i++)
		if (boot.ranges[i].type == RANGE_RAM && boot.ranges[i].at == at)
			return &boot.ranges[i];
	fail("the map shows RAM above 4 GiB");
}

void payload(void)
{
	static const uint64_t places[] = {
		LOW_END - 8, HIGH_AT, HIGH_AT + GiB, HIGH_AT + HIGH_LEN - 8,
	};

	expect_eq(ram_from(HIGH_AT)->len, HIGH_LEN, "RAM above 4 GiB is what is left");
	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		expect_eq(read64(places[i]), 0, "RAM is zero at first");
		write64(places[i], places[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(places); i++)
		expect_eq(read64(places[i]), places[i], "RAM keeps what is written");
	expect_eq(read64(NOBODY), UINT64_MAX, "no RAM between");
	expect_eq(read64(HIGH_AT + HIGH_LEN), UINT64_MAX, "no RAM behind");
}
