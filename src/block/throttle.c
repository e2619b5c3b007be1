// SPDX-License-Identifier: Apache-2.0
#include "block/throttle.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>

/* A limit of both ways beside one of a single way. */
static bool is_mixed(const struct throttle_limit *of)
{
	return (of[0].avg && (of[1].avg || of[2].avg)) ||
	       (of[0].max && (of[1].max || of[2].max));
}

static int check_limit(const struct throttle_limit *limit, struct err *err)
{
	if (limit->avg > THROTTLE_MAX || limit->max > THROTTLE_MAX)
		return err_set(err, -EINVAL, "bps/iops/max values must be within [0, %llu]",
			       (unsigned long long)THROTTLE_MAX);
	if (limit->length > 1 && !limit->max)
		return err_set(err, -EINVAL, "burst length set without burst rate");
	if (limit->max && limit->length > THROTTLE_MAX / limit->max)
		return err_set(err, -EINVAL, "burst length too high for this burst rate");
	if (limit->max && !limit->avg)
		return err_set(err, -EINVAL, "bps_max/iops_max require corresponding bps/iops "
			       "values");
	if (limit->max && limit->max < limit->avg)
		return err_set(err, -EINVAL, "bps_max/iops_max cannot be lower than bps/iops");
	return 0;
}

int throttle_check(const struct throttle_limits *limits, struct err *err)
{
	const struct throttle_limit *iops = &limits->of[THROTTLE_IOPS];
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
