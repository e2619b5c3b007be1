// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include "base/bits.h"

void spin_slept(struct spin *spin)
{
	spin->on = ++spin->nr_sleeps >= spin->needed;
}

void spin_found(struct spin *spin)
{
	spin->needed = SPIN_SLEEPS_MIN;
}

void spin_missed(struct spin *spin)
{
	spin->on = false;
	spin->nr_sleeps = 0;
	spin->needed = (unsigned)min_u64(2 * spin->needed, SPIN_SLEEPS_MAX);
}
