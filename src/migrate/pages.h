/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - pages of 4 KiB, and bitmaps of them: bit n % 64 of word n / 64 is for page n.
 *
 * Any thread.
 */
#ifndef MIGRATE_PAGES_H
#define MIGRATE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGES_LEN	UINT64_C(4096)

/* How many words there are for so many bytes of memory. */
uint64_t pages_words(uint64_t len);

/* How many pages are named. */
uint64_t pages_count(const uint64_t *bitmap, uint64_t words);

static inline bool pages_named(const uint64_t *bitmap, uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

/*
 * The next run of pages that are named, from *at on and before end; false: there is none.
 */
bool pages_next_run(const uint64_t *bitmap, uint64_t end, uint64_t *at, uint64_t *ret_end);

/* Has this page nothing but zeroes? */
bool pages_zero(const void *page);

#endif
