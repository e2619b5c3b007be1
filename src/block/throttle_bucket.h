/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle_bucket.h - one limit of throttle.h, as arithmetic; time is passed in.
 *
 * What is in a bucket is counted in units of 1/1000000000, so that what leaks out
 * in a number of nanoseconds is a product and nothing is ever rounded.  128 bits
 * hold 2^34 requests of 2^64 units each.
 */
#ifndef BLOCK_THROTTLE_BUCKET_H
#define BLOCK_THROTTLE_BUCKET_H

#include "block/throttle.h"

#include <stdint.h>

#define THROTTLE_BUCKET_UNIT	UINT64_C(1000000000)

typedef unsigned __int128 throttle_amount;

struct throttle_bucket {
	throttle_amount level;
	throttle_amount burst;	/* leaks at max: nobody does all of a burst at once */
};

/* So many nanoseconds pass. */
void throttle_bucket_leak(struct throttle_bucket *bucket, const struct throttle_limit *limit,
			  uint64_t ns);

/* Nanoseconds until a request may start; 0: now. */
uint64_t throttle_bucket_wait(const struct throttle_bucket *bucket,
			      const struct throttle_limit *limit);

void throttle_bucket_add(struct throttle_bucket *bucket, throttle_amount amount);

#endif
