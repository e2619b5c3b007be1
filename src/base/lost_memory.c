// SPDX-License-Identifier: Apache-2.0
#include "base/lost_memory.h"

#include <stdatomic.h>

static atomic_uint count;

unsigned lost_memory_count(void)
{
	return atomic_load(&count);
}

void lost_memory_touched(void)
{
	atomic_fetch_add(&count, 1);
}
