/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the time of day as a Linux guest has it.
 */
#ifndef TESTS_GUEST_LIB_CLOCK_H
#define TESTS_GUEST_LIB_CLOCK_H

#include <stdint.h>

/* Before the others. */
void clock_open(void);

/* In nanoseconds since 1970: what it was when it was opened, and how long that is ago. */
uint64_t clock_now(void);

/* Waits until the real-time clock begins a second, and says which, of its minute. */
unsigned clock_begin_second(void);

#endif
