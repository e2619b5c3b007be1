/* SPDX-License-Identifier: Apache-2.0 */
/*
 * polled.h - a virtio driver whose queues are polled from user mode, at full speed.
 *
 * There is neither an operating system nor an interrupt in what it measures: kicks, the
 * monitor and the host.  It runs under each monitor, so BARs are where it places them.
 */
#ifndef TESTS_GUEST_LIB_POLLED_H
#define TESTS_GUEST_LIB_POLLED_H

#include "machine.h"

#include <stdbool.h>
#include <stdint.h>

#define POLLED_SIZE		128		/* of each queue */

#define POLLED_INDIRECT_DESC	(UINT64_C(1) << 28)

#define POLLED_NEXT		1		/* flags of a descriptor */
#define POLLED_WRITE		2
#define POLLED_INDIRECT		4

struct polled_desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};

struct polled_queue {
	_Alignas(16) struct polled_desc ring[POLLED_SIZE];
	volatile struct { uint16_t flags, idx, ring[POLLED_SIZE], used_event; } avail;
	_Alignas(4) volatile struct {
		uint16_t flags, idx;
		struct { uint32_t id, len; } ring[POLLED_SIZE];
		uint16_t avail_event;
	} used;
	uint64_t notify;			/* address */
	uint16_t seen;				/* of used.idx */
	uint16_t kicked;			/* avail.idx when it was last looked at */
	uint64_t nr_kicks;
};

struct polled_device {
	unsigned slot;
	uint64_t common, config;		/* addresses */
};

/* The first of this type, with these features besides VERSION_1 and EVENT_IDX. */
void polled_open(struct polled_device *device, unsigned type, uint64_t features);
void polled_add(struct polled_device *device, unsigned index, struct polled_queue *queue);
void polled_ready(struct polled_device *device);

/* In user mode as well. */

/* So that the monitor can be looked at. */
void polled_linger(uint64_t ticks);

static inline void polled_offer(struct polled_queue *q, uint16_t head)
{
	uint16_t idx = q->avail.idx;

	q->avail.ring[idx % POLLED_SIZE] = head;
	ordered();
	q->avail.idx = idx + 1;
}

/* Tell the device of what was offered, if it wants to hear of it. */
void polled_kick(struct polled_queue *q);

/* What is done next: its head and how much was written; false: nothing. */
static inline bool polled_take(struct polled_queue *q, uint16_t *head, uint32_t *len)
{
	if (q->seen == q->used.idx)
		return false;
	ordered();
	*head = (uint16_t)q->used.ring[q->seen % POLLED_SIZE].id;
	*len = q->used.ring[q->seen % POLLED_SIZE].len;
	q->avail.used_event = q->seen++;	/* no interrupts */
	return true;
}

#endif
