/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_repair.h - makes a state stream of bytes that were changed or cut off: lengths and
 * checksums are put right, and what they let pass is what its reader has to judge.
 */
#ifndef TESTS_UNIT_STREAM_REPAIR_H
#define TESTS_UNIT_STREAM_REPAIR_H

#include "base/bytes.h"
#include "state/stream.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

/*
 * As many sections as there is room for; the last one takes what is left.  len is that of the
 * header at least.
 */
static inline void stream_repair(uint8_t *stream, size_t len)
{
	size_t at = STREAM_HEADER_LEN;
	uint32_t nr = 0;

	while (len - at >= SECTION_HEADER_LEN) {
		uint8_t *section = stream + at;
		size_t left = len - at - SECTION_HEADER_LEN;
		uint32_t fields = get_le32(section + SECTION_LEN_AT);

		if (fields > left || left - fields < SECTION_HEADER_LEN)
			fields = (uint32_t)left;
		put_le32(section + SECTION_LEN_AT, fields);
		put_le32(section + SECTION_CRC_AT, stream_section_crc(section));
		at += SECTION_HEADER_LEN + fields;
		nr++;
	}
	memcpy(stream + STREAM_MAGIC_AT, STREAM_MAGIC, sizeof(STREAM_MAGIC) - 1);
	put_le32(stream + STREAM_FORMAT_AT, STREAM_FORMAT);
	put_le32(stream + STREAM_NR_AT, nr);
	put_le64(stream + STREAM_LEN_AT, len);
	put_le32(stream + STREAM_CRC_AT, (uint32_t)crc32(0, stream, STREAM_CRC_AT));
}

#endif
