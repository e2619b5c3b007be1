/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primecell.h - by what a driver knows an ARM PrimeCell: the last eight registers of
 * its page, 4 bytes apart, of which one byte each matters.
 */
#ifndef DEVICES_PRIMECELL_H
#define DEVICES_PRIMECELL_H

#include <stdint.h>

#define PRIMECELL_ID_AT 0xfe0

/* What is read at off, in the first revision of this part; 0 below the identification. */
static inline uint32_t primecell_id(uint8_t part, uint64_t off)
{
	const uint8_t id[] = { part, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	return off < PRIMECELL_ID_AT || off % 4 ? 0 : id[(off - PRIMECELL_ID_AT) / 4 % 8];
}

#endif
