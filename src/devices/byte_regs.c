// SPDX-License-Identifier: Apache-2.0
#include "devices/byte_regs.h"

uint64_t byte_regs_read(struct bus_region *region, uint64_t off, unsigned size,
			byte_regs_read_fn *read)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read(region, off + i) << (8 * i);
	return value;
}

void byte_regs_write(struct bus_region *region, uint64_t off, unsigned size, uint64_t value,
		     byte_regs_write_fn *write)
{
	for (unsigned i = 0; i < size; i++)
		write(region, off + i, (uint8_t)(value >> (8 * i)));
}
