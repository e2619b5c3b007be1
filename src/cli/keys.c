// SPDX-License-Identifier: Apache-2.0
#include "keys.h"

#define ESCAPE	0x01		/* Ctrl-A */

size_t keys_filter(struct keys *keys, uint8_t *bytes, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t key = bytes[i];
		bool escaped = keys->escaped;

		keys->escaped = key == ESCAPE && !escaped;
		if (keys->escaped)
			continue;
		if (escaped && key != ESCAPE)
			keys->pressed(keys->ctx, key);
		else
			bytes[kept++] = key;
	}
	return kept;
}
