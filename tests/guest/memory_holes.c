// SPDX-License-Identifier: Apache-2.0
/*
 * memory_holes.c - the memory map is in order and without overlap, every range of
 * RAM is RAM to its last byte, and behind the last there is none.
 */
#include "io.h"
#include "payload.h"

#define LOW_END		UINT64_C(0xa0000)
#define MEMORY		(UINT64_C(256) << 20)
#define MARK		UINT64_C(0x1122334455667788)

static void check_ram(const struct memory_range *range)
{
	uint64_t last = range->at + range->len - 8;
	uint64_t before = read64(last);

	write64(last, MARK);
	expect_eq(read64(last), MARK, "a range's last bytes are RAM");
	write64(last, before);
}

void payload(void)
{
	uint64_t end = 0, ram_end = 0;

	for (unsigned i = 0; i < boot.nr_ranges; i++) {
		const struct memory_range *range = &boot.ranges[i];

		expect(range->len && range->at >= end, "ranges ascend without overlap");
		end = range->at + range->len;
		expect(end >= range->at, "no range wraps");
		if (range->type != RANGE_RAM)
			continue;
		expect(end <= LOW_END || range->at >= 0x100000, "no RAM where a PC has none");
		check_ram(range);
		ram_end = end;
	}
	expect_eq(ram_end, MEMORY, "RAM ends where --memory says");
	expect_eq(read64(ram_end), UINT64_MAX, "nothing is behind RAM");
	expect_eq(read64(ram_end - 4), UINT64_C(0xffffffff00000000),
		  "an access across RAM's end finds both");
}
