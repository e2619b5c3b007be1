// SPDX-License-Identifier: Apache-2.0
/*
 * proof_virtq_pop.c - whatever a guest writes to its rings, pop stays in bounds.
 *
 * The guest may change every byte of its memory between any two loads: what is
 * copied from there is any value each time.  Pop then reads rings only where they
 * were checked to be, asks for no more segments than the chain has room for, puts
 * readable ones before writable ones, and counts them and their bytes truly.  That
 * the segments are the guest's memory is proof_guest_mem_map.c's.
 *
 * The bounds of the code are brought down to what can be unrolled; the loops are
 * the same.
 */
#include "devices/virtio/virtio.h"

#undef VIRTIO_SEGS_MAX
#define VIRTIO_SEGS_MAX 3
#undef VIRTIO_QUEUE_SIZE_MAX
#define VIRTIO_QUEUE_SIZE_MAX 3

#include "proof.h"

#include <string.h>

static void copy_desc(void *to, const void *from);

/* Positions in the rings run free. */
#pragma CPROVER check push
#pragma CPROVER check disable "conversion"
#pragma CPROVER check disable "unsigned-overflow"
#define memcpy(to, from, len) copy_desc(to, from)
#include "devices/virtio/queue.c"
#undef memcpy
#pragma CPROVER check pop

#define QUEUE_SIZE	2

static struct desc rings_desc[QUEUE_SIZE];
static struct virtio_chain chain;
static unsigned nr_mapped;
static uint64_t len_mapped;

static struct desc any_desc(void)
{
	struct desc desc;	/* not set: any */

	return desc;
}

/* Out of the guest's memory: the source is there, its content is anything. */
static void copy_desc(void *to, const void *from)
{
	const struct desc *desc = from;

	assert(desc >= rings_desc && desc < rings_desc + QUEUE_SIZE);
	*(struct desc *)to = any_desc();
}

int guest_mem_map(const struct guest_mem *mem, gpa_t at, size_t len, struct iovec *segs,
		  int max)
{
	int nr = nondet_int();

	(void)mem, (void)at;
	assert(max >= 0 && max <= VIRTIO_SEGS_MAX);
	assert(segs == chain.segs + nr_mapped && (int)nr_mapped + max <= VIRTIO_SEGS_MAX);
	assume(nr == -EFAULT || nr == -ENOBUFS || (nr >= 0 && nr <= 2 && nr <= max));
	if (nr > 0)
		nr_mapped += (unsigned)nr;
	if (nr >= 0)
		len_mapped += len;
	return nr;
}

int guest_mem_read(const struct guest_mem *mem, gpa_t at, void *dst, size_t len)
{
	(void)mem, (void)at;
	assert(len == sizeof(struct desc));
	*(struct desc *)dst = any_desc();
	return nondet_bool() ? 0 : -EFAULT;
}

void virtio_break(struct virtio_dev *dev, const char *why)
{
	(void)why;
	dev->broken = true;
}

bool loop_here(const struct loop *loop)
{
	(void)loop;
	return true;
}

bool loop_spins(const struct loop *loop)
{
	(void)loop;
	return nondet_bool();
}

int main(void)
{
	const struct virtio_class class = { .polled = nondet_bool() };
	uint16_t avail[2 + QUEUE_SIZE + 1], used[2 + QUEUE_SIZE * 4 + 1];	/* any */
	struct virtio_dev dev = { .class = &class, .running = true };
	struct virtq vq = {
		.dev = &dev, .running = true, .size = QUEUE_SIZE,
		.desc = rings_desc, .avail = (void *)avail, .used = (void *)used,
		.event_idx = nondet_bool(), .indirect = nondet_bool(),
		.next_avail = nondet_u16(), .nr_in_flight = nondet_unsigned(),
		.budget = nondet_unsigned(),
	};
	unsigned nr_in_flight = vq.nr_in_flight;
	int r;

	r = virtq_pop(&vq, &chain);

	assert(r == 1 || r == 0 || r == -EPROTO);
	assert((r == -EPROTO) == dev.broken);
	assert(vq.nr_in_flight == nr_in_flight + (r == 1));
	if (r != 1)
		return 0;
	assert(vq.nr_in_flight <= QUEUE_SIZE);
	assert(chain.readable.nr + chain.writable.nr == nr_mapped);
	assert(chain.readable.len + chain.writable.len == len_mapped);
	assert(!chain.readable.nr || chain.readable.segs == chain.segs);
	assert(!chain.writable.nr || chain.writable.segs == chain.segs + chain.readable.nr);
	return 0;
}
