/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin.h - whether to look for work for a moment before sleeping.
 *
 * Where the other side offers the next request microseconds after it has got the last
 * one, a sleep costs more than it saves: to end it takes an exit of the guest and the
 * scheduler.  How long sleeps are does not tell, since they last as long as their end
 * takes.  So it is tried: once in a while a loop spins for SPIN_NS at most, and goes on
 * doing so as long as it finds something.  Each time that it does not, it sleeps more
 * often before it tries again: where both sides share a processor, spinning keeps the
 * other from what is waited for.
 */
#ifndef LOOP_SPIN_H
#define LOOP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_NS			UINT64_C(32000)
#define SPIN_SLEEPS_MIN		16
#define SPIN_SLEEPS_MAX		4096

struct spin {
	bool on;
	unsigned nr_sleeps;		/* since it was on */
	unsigned needed;		/* of them before it is tried */
};

#define SPIN_INIT	{ .needed = SPIN_SLEEPS_MIN }

void spin_slept(struct spin *spin);
void spin_found(struct spin *spin);
void spin_missed(struct spin *spin);

#endif
