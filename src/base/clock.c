// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

static uint64_t to_ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * CLOCK_NS_PER_S + (uint64_t)ts->tv_nsec;
}

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return to_ns(&ts);
}

uint64_t clock_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return to_ns(&ts);
}

/*
 * How the kernel names the clock of a thread, which pthread_getcpuclockid() makes
 * from a pthread_t: the complement of its id, and what is counted.
 */
#define PER_THREAD	4
#define BY_SCHEDULER	2

uint64_t clock_thread_ns(int id)
{
	clockid_t clock = (clockid_t)(~(unsigned)id << 3 | PER_THREAD | BY_SCHEDULER);
	struct timespec ts;

	if (id <= 0 || clock_gettime(clock, &ts))
		return 0;
	return to_ns(&ts);
}
