// SPDX-License-Identifier: Apache-2.0
#include "pages.h"

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

/* A line of the cache at a time: most pages that are not zero tell by the first. */
bool pages_zero(const void *page)
{
	const uint64_t *words = page, *end = words + PAGES_LEN / sizeof(*words);

	for (; words < end; words += 8)
		if (words[0] | words[1] | words[2] | words[3] |
		    words[4] | words[5] | words[6] | words[7])
			return false;
	return true;
}
