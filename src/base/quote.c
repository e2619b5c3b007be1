// SPDX-License-Identifier: Apache-2.0
#include "base/quote.h"

#include <string.h>

struct quote quote_of(const char *text)
{
	struct quote quote = { "" };
	size_t len = strlen(text);
	size_t shown = len < QUOTE_MAX ? len : QUOTE_MAX;

	/* Never cut within a UTF-8 sequence. */
	while (shown < len && shown && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)text[i];

		quote.text[i] = c < ' ' || c == 0x7f ? '?' : text[i];
	}
	if (shown < len)
		memcpy(quote.text + shown, "...", sizeof("..."));
	return quote;
}
