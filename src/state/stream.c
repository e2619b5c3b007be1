// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "base/bytes.h"

#include <zlib.h>

uint32_t stream_kind_size(unsigned kind)
{
	switch (kind) {
	case STATE_BOOL:
	case STATE_U8:
		return 1;
	case STATE_U16:
		return 2;
	case STATE_U32:
		return 4;
	case STATE_U64:
		return 8;
	default:
		return 0;
	}
}

uint32_t stream_section_crc(const uint8_t *section)
{
	uLong crc = crc32(0, section, SECTION_CRC_AT);

	return (uint32_t)crc32(crc, section + SECTION_HEADER_LEN,
			       get_le32(section + SECTION_LEN_AT));
}
