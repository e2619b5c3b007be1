/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - what time it is.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_MS	UINT64_C(1000000)
#define CLOCK_NS_PER_S	UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds; any thread. */
uint64_t clock_ns(void);

/* CLOCK_REALTIME, since 1970; may be set by anybody. */
uint64_t clock_wall_ns(void);

/*
 * The processor time that a thread of this process has taken so far, in
 * nanoseconds; id is the kernel's.  0 where there is no such thread.  Any thread.
 */
uint64_t clock_thread_ns(int id);

#endif
