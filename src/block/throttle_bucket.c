// SPDX-License-Identifier: Apache-2.0
#include "throttle_bucket.h"

static uint64_t seconds(const struct throttle_limit *limit)
{
	return limit->length ? limit->length : 1;
}

static void leak(throttle_amount *level, uint64_t rate, uint64_t ns)
{
	throttle_amount out = (throttle_amount)rate * ns;

	*level = *level > out ? *level - out : 0;
}

void throttle_bucket_leak(struct throttle_bucket *bucket, const struct throttle_limit *limit,
			  uint64_t ns)
{
	leak(&bucket->level, limit->avg, ns);
	leak(&bucket->burst, limit->max, ns);
}

/* Until no more than that is left, rounded up. */
static uint64_t until(throttle_amount level, throttle_amount left, uint64_t rate)
{
	throttle_amount ns;

	if (level <= left)
		return 0;
	ns = (level - left - 1) / rate + 1;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static throttle_amount tenth(uint64_t rate)
{
	return (throttle_amount)rate * (THROTTLE_BUCKET_UNIT / 10);
}

uint64_t throttle_bucket_wait(const struct throttle_bucket *bucket,
			      const struct throttle_limit *limit)
{
	throttle_amount holds = (throttle_amount)limit->max * seconds(limit) *
				THROTTLE_BUCKET_UNIT;
	uint64_t wait;

	if (!limit->avg)
		return 0;
	if (!limit->max)
		return until(bucket->level, tenth(limit->avg), limit->avg);
	wait = until(bucket->level, holds, limit->avg);
	if (wait || seconds(limit) == 1)
		return wait;
	return until(bucket->burst, tenth(limit->max), limit->max);
}

void throttle_bucket_add(struct throttle_bucket *bucket, throttle_amount amount)
{
	bucket->level += amount;
	bucket->burst += amount;
}
