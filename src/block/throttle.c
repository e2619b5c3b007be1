// SPDX-License-Identifier: Apache-2.0
#include "block/throttle.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>

/* A limit of both ways beside one of a single way. */
static bool is_mixed(const struct bucket_limit *of)
{
	return (of[0].avg && (of[1].avg || of[2].avg)) ||
	       (of[0].max && (of[1].max || of[2].max));
}

static int check_limit(const struct bucket_limit *limit, struct err *err)
{
	switch (bucket_judge(limit)) {
	case BUCKET_TOO_MUCH:
		return err_set(err, -EINVAL, "bps/iops/max values must be within [0, %llu]",
			       (unsigned long long)BUCKET_MAX);
	case BUCKET_LENGTH_WITHOUT_MAX:
		return err_set(err, -EINVAL, "burst length set without burst rate");
	case BUCKET_LENGTH_TOO_MUCH:
		return err_set(err, -EINVAL, "burst length too high for this burst rate");
	case BUCKET_MAX_WITHOUT_AVG:
		return err_set(err, -EINVAL, "bps_max/iops_max require corresponding bps/iops "
			       "values");
	case BUCKET_MAX_BELOW_AVG:
		return err_set(err, -EINVAL, "bps_max/iops_max cannot be lower than bps/iops");
	case BUCKET_SOUND:
		return 0;
	}
	return 0;
}

int throttle_check(const struct throttle_limits *limits, struct err *err)
{
	const struct bucket_limit *iops = &limits->of[THROTTLE_IOPS];
	int r = 0;

	if (is_mixed(&limits->of[THROTTLE_BPS]) || is_mixed(iops))
		return err_set(err, -EINVAL, "bps/iops/max total values and read/write values "
			       "cannot be used at the same time");
	if (limits->iops_size && !iops[0].avg && !iops[1].avg && !iops[2].avg)
		return err_set(err, -EINVAL, "iops size requires an iops value to be set");
	for (unsigned i = 0; i < THROTTLE_NR_KINDS && !r; i++)
		r = check_limit(&limits->of[i], err);
	return r;
}

bool throttle_any(const struct throttle_limits *limits)
{
	for (unsigned i = 0; i < THROTTLE_NR_KINDS; i++)
		if (limits->of[i].avg)
			return true;
	return false;
}

bool throttle_equal(const struct throttle_limits *a, const struct throttle_limits *b)
{
	for (unsigned i = 0; i < THROTTLE_NR_KINDS; i++)
		if (a->of[i].avg != b->of[i].avg || a->of[i].max != b->of[i].max ||
		    a->of[i].length != b->of[i].length)
			return false;
	return a->iops_size == b->iops_size;
}
