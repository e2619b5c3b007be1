/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - how much there may be in a second, as arithmetic; time is passed in.
 *
 * A limit is a bucket with a leak: what is done is added to it, avg leaks out each
 * second, and while there is more in it than it holds, whoever comes waits.  It holds
 * max times length, so that who was idle may go on at max for length seconds; without
 * max it holds a tenth of avg.
 *
 * What is in a bucket is counted in units of 1/1000000000, so that what leaks out
 * in a number of nanoseconds is a product and nothing is ever rounded.  128 bits
 * hold 2^34 requests of 2^64 units each.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include "base/clock.h"

#include <stdint.h>

#define BUCKET_UNIT	UINT64_C(1000000000)
#define BUCKET_MAX	UINT64_C(1000000000000000)	/* of avg, max, and max times length */

struct bucket_limit {
	uint64_t avg;		/* a second; 0: none */
	uint64_t max;		/* a second, for a while; 0: see above */
	uint64_t length;	/* of that while, seconds; 0: 1 */
};

/* What is wrong with a limit. */
enum bucket_fault {
	BUCKET_SOUND,
	BUCKET_TOO_MUCH,		/* avg or max */
	BUCKET_LENGTH_WITHOUT_MAX,
	BUCKET_LENGTH_TOO_MUCH,
	BUCKET_MAX_WITHOUT_AVG,
	BUCKET_MAX_BELOW_AVG,
};

enum bucket_fault bucket_judge(const struct bucket_limit *limit);

typedef unsigned __int128 bucket_amount;

struct bucket {
	bucket_amount level;
	bucket_amount burst;	/* leaks at max: nobody does all of a burst at once */
};

/* So many nanoseconds pass. */
void bucket_leak(struct bucket *bucket, const struct bucket_limit *limit, uint64_t ns);

/* Whoever waits sleeps no longer at a time: if he still has to wait then, he waits on. */
#define BUCKET_NAP_MAX	(60 * CLOCK_NS_PER_S)

/* Nanoseconds until the next may start; 0: now. */
uint64_t bucket_wait(const struct bucket *bucket, const struct bucket_limit *limit);

void bucket_add(struct bucket *bucket, bucket_amount amount);

#endif
