// SPDX-License-Identifier: Apache-2.0
#include "pages.h"

#include <string.h>

uint64_t pages_words(uint64_t len)
{
	return (len / PAGES_LEN + 63) / 64;
}

uint64_t pages_count(const uint64_t *bitmap, uint64_t words)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < words; i++)
		nr += (unsigned)__builtin_popcountll(bitmap[i]);
	return nr;
}

bool pages_next_run(const uint64_t *bitmap, uint64_t end, uint64_t *at, uint64_t *ret_end)
{
	uint64_t page = *at, over;

	while (page < end && !pages_named(bitmap, page))
		page += bitmap[page / 64] >> page % 64 ? 1 : 64 - page % 64;
	if (page >= end)
		return false;
	for (over = page; over < end && pages_named(bitmap, over);)
		over++;
	*at = page;
	*ret_end = over;
	return true;
}

/* What is zero at its start and equal to itself one word further is zero throughout. */
bool pages_zero(const void *page)
{
	const char *bytes = page;
	uint64_t first;

	memcpy(&first, bytes, sizeof(first));
	return !first && !memcmp(bytes, bytes + sizeof(first), PAGES_LEN - sizeof(first));
}
