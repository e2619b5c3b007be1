// SPDX-License-Identifier: Apache-2.0
/*
 * machine_throttle.c - a guest that is slowed down.
 *
 * Work and rest take turns, told by a timer of the main loop; so vCPUs know nothing of it
 * but that they are to rest, and cost nothing more while they are not.
 */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/clock.h"
#include "board.h"
#include "machine_parts.h"

/* Short against what a user notices, long against what the kick of a vCPU takes. */
#define WORK_NS (10 * CLOCK_NS_PER_MS)

void machine_parts_throttle(struct loop_timer *timer)
{
	struct machine *m = container_of(timer, struct machine, throttle_timer);
	uint64_t rest_ns = WORK_NS * m->throttle / (100 - m->throttle);

	m->rests = !m->rests;
	board_rest(m->board, m->rests);
	loop_timer_set(m->config.main, timer, clock_ns() + (m->rests ? rest_ns : WORK_NS));
}

void machine_state_throttle(struct machine *m, unsigned percent)
{
	m->throttle = percent;
	if (percent && !m->throttle_timer.set)
		machine_parts_throttle(&m->throttle_timer);
	if (percent)
		return;
	loop_timer_clear(m->config.main, &m->throttle_timer);
	if (m->rests)
		board_rest(m->board, false);
	m->rests = false;
}
