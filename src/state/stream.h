/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - how a state stream is laid out.
 *
 * Everything is little-endian and without padding.  Both headers end with the CRC-32
 * of what it covers, in which the CRC itself is left out.
 */
#ifndef STATE_STREAM_H
#define STATE_STREAM_H

#include "state/state.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>

static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "numbers are copied as they are in memory");

#define STREAM_MAGIC "vmmstate"
#define STREAM_FORMAT 1

/* The header: readable without decoding. */
enum {
	STREAM_MAGIC_AT = 0,	/* 8 bytes */
	STREAM_FORMAT_AT = 8,	/* u32 */
	STREAM_NR_AT = 12,	/* u32, sections */
	STREAM_LEN_AT = 16,	/* u64, bytes of it all */
	STREAM_ARCH_AT = 24,	/* 16 bytes, text padded with zeroes */
	STREAM_RELEASE_AT = 40, /* 20 bytes, likewise */
	STREAM_CRC_AT = 60,	/* u32, of the header */
	STREAM_HEADER_LEN = 64,
	STREAM_ARCH_LEN = 16,
	STREAM_RELEASE_LEN = 20,
};

/* The header of a section; the fields follow. */
enum {
	SECTION_NAME_AT = 0,	  /* STATE_NAME_MAX bytes, text padded with zeroes */
	SECTION_INSTANCE_AT = 24, /* u32 */
	SECTION_VERSION_AT = 28,  /* u16 */
	SECTION_FLAGS_AT = 30,	  /* u16 */
	SECTION_LEN_AT = 32,	  /* u32, bytes of the fields */
	SECTION_CRC_AT = 36,	  /* u32, of the header and the fields */
	SECTION_HEADER_LEN = 40,
};

#define SECTION_HINT UINT16_C(1)

/*
 * A field: a byte with the kind and a flag, a byte with the length of the name, the
 * name, the number of elements (u32), the elements.
 */
#define FIELD_HINT 0x80
#define FIELD_HEAD_LEN 2

/* Of an element; 0 for a struct, which tells its length itself, and what is unknown. */
uint32_t stream_kind_size(unsigned kind);

uint32_t stream_section_crc(const uint8_t *section);

#endif
