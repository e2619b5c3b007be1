/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byte_regs.h - devices whose registers are one byte each.
 *
 * An ISA device answers byte cycles only; the bridge in front of it cuts a wider
 * access into bytes, lowest address first.  The devices here get the same from
 * these two functions, so none of them ever sees a width.
 */
#ifndef DEVICES_BYTE_REGS_H
#define DEVICES_BYTE_REGS_H

#include <stdint.h>

struct bus_region;

typedef uint8_t byte_regs_read_fn(struct bus_region *region, uint64_t reg);
typedef void byte_regs_write_fn(struct bus_region *region, uint64_t reg, uint8_t value);

/* The arguments of a bus_ops handler, and what answers for one register. */
uint64_t byte_regs_read(struct bus_region *region, uint64_t off, unsigned size,
			byte_regs_read_fn *read);
void byte_regs_write(struct bus_region *region, uint64_t off, unsigned size, uint64_t value,
		     byte_regs_write_fn *write);

#endif
