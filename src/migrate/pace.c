// SPDX-License-Identifier: Apache-2.0
#include "pace.h"

#include "base/bits.h"
#include "base/clock.h"

#include <unistd.h>

#define MOMENT_NS	(50 * CLOCK_NS_PER_MS)

void pace_keep(struct pace *pace, uint64_t bytes, const atomic_uint_least64_t *rate,
	       unsigned shares, const atomic_bool *stop)
{
	uint64_t each, now = clock_ns(), due;

	/* A pause is not made up for. */
	if (now - pace->began > CLOCK_NS_PER_S) {
		pace->began = now;
		pace->sent = 0;
	}
	pace->sent += bytes;
	while ((each = atomic_load(rate)) && !atomic_load(stop)) {
		due = (uint64_t)((double)pace->sent / (double)each / shares * CLOCK_NS_PER_S);
		now = clock_ns() - pace->began;
		if (now >= due)
			break;
		usleep((useconds_t)(min_u64(due - now, MOMENT_NS) / 1000 + 1));
	}
}
