// SPDX-License-Identifier: Apache-2.0
#include "base/bucket.h"

enum bucket_fault bucket_judge(const struct bucket_limit *limit)
{
	if (limit->avg > BUCKET_MAX || limit->max > BUCKET_MAX)
		return BUCKET_TOO_MUCH;
	if (limit->length > 1 && !limit->max)
		return BUCKET_LENGTH_WITHOUT_MAX;
	if (limit->max && limit->length > BUCKET_MAX / limit->max)
		return BUCKET_LENGTH_TOO_MUCH;
	if (limit->max && !limit->avg)
		return BUCKET_MAX_WITHOUT_AVG;
	if (limit->max && limit->max < limit->avg)
		return BUCKET_MAX_BELOW_AVG;
	return BUCKET_SOUND;
}

static uint64_t seconds(const struct bucket_limit *limit)
{
	return limit->length ? limit->length : 1;
}

static void leak(bucket_amount *level, uint64_t rate, uint64_t ns)
{
	bucket_amount out = (bucket_amount)rate * ns;

	*level = *level > out ? *level - out : 0;
}

void bucket_leak(struct bucket *bucket, const struct bucket_limit *limit, uint64_t ns)
{
	leak(&bucket->level, limit->avg, ns);
	leak(&bucket->burst, limit->max, ns);
}

/* Until no more than that is left, rounded up. */
static uint64_t until(bucket_amount level, bucket_amount left, uint64_t rate)
{
	bucket_amount ns;

	if (level <= left)
		return 0;
	ns = (level - left - 1) / rate + 1;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static bucket_amount tenth(uint64_t rate)
{
	return (bucket_amount)rate * (BUCKET_UNIT / 10);
}

uint64_t bucket_wait(const struct bucket *bucket, const struct bucket_limit *limit)
{
	bucket_amount holds = (bucket_amount)limit->max * seconds(limit) *
				BUCKET_UNIT;
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

void bucket_add(struct bucket *bucket, bucket_amount amount)
{
	bucket->level += amount;
	bucket->burst += amount;
}
