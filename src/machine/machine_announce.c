// SPDX-License-Identifier: Apache-2.0
/* machine_announce.c - the guest tells the network where its cards are. */
#include "base/bits.h"
#include "base/clock.h"
#include "machine_parts.h"

/* Switches may miss the first: later ones come at growing intervals. */
void machine_parts_announce(struct loop_timer *timer)
{
	struct machine *m = container_of(timer, struct machine, announce_timer);
	struct machine_announcement *left = &m->announcement;

	for (struct machine_part *part = m->parts; part && m->board; part = part->next)
		if (part->device.kind == BOARD_NET && part->device_id)
			board_announce(m->board, &part->device);
	if (!--left->rounds)
		return;
	loop_timer_set(m->config.main, timer, clock_ns() + left->initial_ms * CLOCK_NS_PER_MS);
	left->initial_ms = min_u64(left->initial_ms + left->step_ms, left->max_ms);
}

void machine_announce(struct machine *m, const struct machine_announcement *how)
{
	m->announcement = *how;
	machine_parts_announce(&m->announce_timer);
}
