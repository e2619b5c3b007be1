// SPDX-License-Identifier: Apache-2.0
/*
 * queue.c - split virtqueues.
 *
 * The rings lie in guest RAM, where a vCPU may change them at any moment.
 * Every number is therefore loaded once into a local and only the local is
 * judged.  Loading avail->idx acquires, which pairs with the driver's barrier
 * before its store; storing used->idx releases.
 *
 * Kicks and interrupts are each suppressed by an index the other side reads
 * (EVENT_IDX) or by a flag.  Both follow the same pattern: announce, then look
 * again; so that either the announcement is seen or the news is.  These stores
 * and loads are sequentially consistent, which keeps the two in this order as
 * the driver's full barrier does on its side.
 *
 * While a queue has work the driver is told not to kick.  Only when pop finds
 * nothing does it ask for the next kick; and where the loop looks into the queue
 * before it sleeps, only when it does sleep.
 */
#include "queue.h"

#include "base/bits.h"
#include "memory/guest_mem.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Section 2.7.5; little-endian. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

#define DESC_F_NEXT	1
#define DESC_F_WRITE	2
#define DESC_F_INDIRECT	4

struct avail {
	_Atomic(uint16_t) flags;
	_Atomic(uint16_t) idx;
	_Atomic(uint16_t) ring[];	/* then used_event */
};

#define AVAIL_F_NO_INTERRUPT 1

struct used_elem {
	uint32_t id;
	uint32_t len;
};

struct used {
	_Atomic(uint16_t) flags;
	_Atomic(uint16_t) idx;
	struct used_elem ring[];	/* then avail_event */
};

#define USED_F_NO_NOTIFY 1

/* What the guest can work on while we go on; more often would cost more interrupts. */
#define BATCH 32

struct virtq {
	struct virtio_dev *dev;
	unsigned index;
	int kick_fd;
	struct loop_watch kick;
	struct loop_task again;		/* another helping of the same kick */
	struct loop_task publish;
	struct loop_poll poll;

	/* While running: the rings, checked to lie in RAM whole. */
	bool running;
	_Atomic(bool) lent;		/* somebody else serves it */
	bool event_idx, indirect;
	uint16_t size;			/* a power of two */
	const struct desc *desc;
	struct avail *avail;
	struct used *used;

	uint16_t next_avail;		/* of avail->ring, free running */
	uint16_t next_used;		/* of used->ring, where push writes */
	uint16_t published;		/* what used->idx says */
	bool drained;			/* pop found nothing */
	unsigned budget;		/* pops and the like left in this kick */
	unsigned nr_in_flight;		/* popped, not pushed */

	uint16_t *held;			/* to be popped before what is new; NULL: none */
	unsigned first_held, nr_held;

	/* Written by the owner only, so no increment needs to be locked. */
	_Atomic(uint64_t) kicks, interrupts, requests, packets, bytes, drops;
};

static void count(_Atomic(uint64_t) *counter, uint64_t more)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

static _Atomic(uint16_t) *used_event(const struct virtq *vq)
{
	return &vq->avail->ring[vq->size];
}

static _Atomic(uint16_t) *avail_event(const struct virtq *vq)
{
	return (_Atomic(uint16_t) *)(void *)&vq->used->ring[vq->size];
}

/* Kicks. */

static void ask_for_kick(struct virtq *vq)
{
	if (vq->event_idx)
		atomic_store(avail_event(vq), htole16(vq->next_avail));
	else
		atomic_store(&vq->used->flags, 0);
}

/* With EVENT_IDX an index not moved on says the same. */
static void no_kicks(struct virtq *vq)
{
	if (!vq->event_idx)
		atomic_store_explicit(&vq->used->flags, htole16(USED_F_NO_NOTIFY),
				      memory_order_relaxed);
}

/* A device that is stopping still gives back what it has, but takes no more. */
static bool is_served(const struct virtq *vq)
{
	return vq->running && !vq->lent && vq->dev->running && !vq->dev->broken;
}

void virtq_run(struct virtq *vq)
{
	if (!is_served(vq))
		return;
	no_kicks(vq);
	vq->drained = false;
	vq->budget = vq->size;
	vq->dev->class->kick(vq->dev, vq);
	if (vq->running && !vq->budget)
		loop_defer(vq->dev->loop, &vq->again);
}

static void kicked(struct loop_watch *watch, unsigned events)
{
	struct virtq *vq = container_of(watch, struct virtq, kick);

	(void)events;
	count(&vq->kicks, 1);
	virtq_run(vq);
}

static void run_again(struct loop_task *task)
{
	virtq_run(container_of(task, struct virtq, again));
}

/* Taking requests. */

static uint16_t load_avail_idx(const struct virtq *vq)
{
	return le16toh(atomic_load(&vq->avail->idx));
}

static int broken(struct virtq *vq, const char *why)
{
	virtio_break(vq->dev, why);
	return -EPROTO;
}

/* One descriptor's buffer onto the end of the chain. */
static int add_buffer(struct virtq *vq, struct virtio_chain *chain, const struct desc *desc)
{
	bool writable = le16toh(desc->flags) & DESC_F_WRITE;
	struct iov *iov = writable ? &chain->writable : &chain->readable;
	unsigned nr = chain->readable.nr + chain->writable.nr;
	uint32_t len = le32toh(desc->len);
	int r;

	if (!writable && chain->writable.nr)
		return broken(vq, "a readable buffer follows a writable one");
	r = guest_mem_map(vq->dev->mem, le64toh(desc->addr), len, chain->segs + nr,
			  (int)(VIRTIO_SEGS_MAX - nr));
	if (r == -ENOBUFS)
		return broken(vq, "a request has too many buffers");
	if (r < 0)
		return broken(vq, "a buffer lies outside memory");
	if (!iov->nr)
		iov->segs = chain->segs + nr;
	iov->nr += (unsigned)r;
	iov->len += len;
	return 0;
}

/* Section 2.7.5.3: a table elsewhere, used from its first entry. */
static int add_indirect(struct virtq *vq, struct virtio_chain *chain, const struct desc *ref)
{
	uint32_t len = le32toh(ref->len), nr = len / sizeof(struct desc);
	uint64_t table = le64toh(ref->addr);
	uint32_t i = 0;

	if (!vq->indirect)
		return broken(vq, "an indirect table was not negotiated");
	if (le16toh(ref->flags) & DESC_F_NEXT)
		return broken(vq, "an indirect table is followed by a descriptor");
	if (!nr || len % sizeof(struct desc))
		return broken(vq, "an indirect table has a wrong length");

	/*
	 * A chain longer than its table is a loop.  Nor may it be longer than the
	 * queue (section 2.7.5.3.1), but drivers are known to exceed small ones;
	 * a bound there must be, since empty buffers cost a guest no memory.
	 */
	for (uint32_t steps = 0; steps < nr && steps < VIRTIO_QUEUE_SIZE_MAX; steps++) {
		struct desc desc;
		int r;

		if (guest_mem_read(vq->dev->mem, table + (uint64_t)i * sizeof(desc), &desc,
				   sizeof(desc)))
			return broken(vq, "an indirect table lies outside memory");
		if (le16toh(desc.flags) & DESC_F_INDIRECT)
			return broken(vq, "an indirect table refers to another");
		r = add_buffer(vq, chain, &desc);
		if (r < 0)
			return r;
		if (!(le16toh(desc.flags) & DESC_F_NEXT))
			return 0;
		i = le16toh(desc.next);
		if (i >= nr)
			return broken(vq, "a descriptor index is beyond its table");
	}
	return broken(vq, "descriptors form a loop or a very long chain");
}

static int walk(struct virtq *vq, struct virtio_chain *chain)
{
	uint16_t i = chain->head;

	for (unsigned steps = 0; steps < vq->size; steps++) {
		struct desc desc;
		int r;

		if (i >= vq->size)
			return broken(vq, "a descriptor index is beyond the queue");
		memcpy(&desc, &vq->desc[i], sizeof(desc));
		if (le16toh(desc.flags) & DESC_F_INDIRECT)
			return add_indirect(vq, chain, &desc);
		r = add_buffer(vq, chain, &desc);
		if (r < 0)
			return r;
		if (!(le16toh(desc.flags) & DESC_F_NEXT))
			return 0;
		i = le16toh(desc.next);
	}
	return broken(vq, "descriptors form a loop");
}

static uint16_t nr_pending(const struct virtq *vq)
{
	return (uint16_t)(load_avail_idx(vq) - vq->next_avail);
}

static bool serve_poll(struct loop_poll *poll)
{
	struct virtq *vq = container_of(poll, struct virtq, poll);

	if (!vq->drained || !is_served(vq) || !nr_pending(vq))
		return false;
	virtq_run(vq);
	return true;
}

static bool sleep_poll(struct loop_poll *poll)
{
	struct virtq *vq = container_of(poll, struct virtq, poll);

	if (vq->drained && is_served(vq))
		ask_for_kick(vq);
	return !serve_poll(poll);
}

static int take(struct virtq *vq, uint16_t head, struct virtio_chain *chain)
{
	int r;

	/* Only a driver that offers a request twice comes here. */
	if (vq->nr_in_flight >= vq->size)
		return broken(vq, "more requests are in flight than the queue holds");
	chain->head = head;
	chain->readable = (struct iov){ 0 };
	chain->writable = (struct iov){ 0 };
	r = walk(vq, chain);
	if (r < 0)
		return r;
	vq->nr_in_flight++;
	vq->budget--;
	return 1;
}

static int take_held(struct virtq *vq, struct virtio_chain *chain)
{
	int r = take(vq, vq->held[vq->first_held], chain);

	vq->first_held++;
	vq->nr_held--;
	return r;
}

int virtq_pop(struct virtq *vq, struct virtio_chain *chain)
{
	uint16_t pending;
	int r;

	assert(loop_here(vq->dev->loop));
	if (!is_served(vq) || !vq->budget)
		return 0;
	if (vq->nr_held)
		return take_held(vq, chain);
	pending = nr_pending(vq);
	if (!pending) {
		if (!vq->dev->class->polled || !loop_spins(vq->dev->loop))
			ask_for_kick(vq);
		pending = nr_pending(vq);
		vq->drained = !pending;
		if (!pending)
			return 0;
		no_kicks(vq);
	}
	if (pending > vq->size)
		return broken(vq, "more requests are available than the queue holds");
	r = take(vq, le16toh(atomic_load_explicit(
			 &vq->avail->ring[vq->next_avail & (vq->size - 1)],
			 memory_order_relaxed)), chain);
	if (r > 0)
		vq->next_avail++;
	return r;
}

void virtq_unpop(struct virtq *vq, unsigned nr)
{
	vq->next_avail -= (uint16_t)nr;
	vq->nr_in_flight -= nr;
	vq->drained &= !nr;
}

bool virtq_spend(struct virtq *vq)
{
	if (vq->budget)
		vq->budget--;
	return vq->budget;
}

/* Giving them back. */

/*
 * While a log is kept, look once more where the request was to be written to; all of
 * that counts, however much it was.  A driver that has moved its descriptors meanwhile
 * has broken the protocol.
 */
static void log_written(struct virtq *vq, uint16_t head)
{
	struct virtio_chain chain = { .head = head };

	if (walk(vq, &chain) < 0)
		return;
	for (unsigned i = 0; i < chain.writable.nr; i++)
		guest_mem_dirty(vq->dev->mem, chain.writable.segs[i].iov_base,
				chain.writable.segs[i].iov_len);
}

void virtq_push(struct virtq *vq, uint16_t head, uint32_t written)
{
	struct used_elem elem = { .id = htole32(head), .len = htole32(written) };

	assert(loop_here(vq->dev->loop));
	if (!vq->running)
		return;
	vq->nr_in_flight--;
	if (guest_mem_logs(vq->dev->mem))
		log_written(vq, head);
	memcpy(&vq->used->ring[vq->next_used++ & (vq->size - 1)], &elem, sizeof(elem));
	count(&vq->requests, 1);
	loop_defer(vq->dev->loop, &vq->publish);
}

/* Section 2.7.7.2; old and new are used->idx before and after. */
static bool wants_interrupt(const struct virtq *vq, uint16_t old, uint16_t new)
{
	uint16_t event;

	if (!vq->event_idx)
		return !(le16toh(atomic_load(&vq->avail->flags)) & AVAIL_F_NO_INTERRUPT);
	event = le16toh(atomic_load(used_event(vq)));
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static void publish_now(struct virtq *vq)
{
	uint16_t old = vq->published;

	if (!vq->running || old == vq->next_used)
		return;
	vq->published = vq->next_used;
	atomic_store(&vq->used->idx, htole16(vq->next_used));
	if (wants_interrupt(vq, old, vq->next_used)) {
		count(&vq->interrupts, 1);
		vq->dev->transport->queue_interrupt(vq->dev->transport, vq->index);
	}
}

void virtq_flush_batch(struct virtq *vq)
{
	if ((uint16_t)(vq->next_used - vq->published) >= BATCH)
		publish_now(vq);
}

static void publish(struct loop_task *task)
{
	publish_now(container_of(task, struct virtq, publish));
}

/* Life. */

/* [at, at+len) as one host mapping, or NULL. */
static void *map_ring(struct guest_mem *mem, uint64_t at, size_t len, size_t align)
{
	struct iovec seg;

	if (at % align || guest_mem_map(mem, at, len, &seg, 1) != 1)
		return NULL;
	return seg.iov_base;
}

static size_t used_len(size_t size)
{
	return sizeof(struct used) + size * sizeof(struct used_elem) + 2;
}

int virtq_start(struct virtq *vq, const struct virtq_setup *setup)
{
	struct guest_mem *mem = vq->dev->mem;
	size_t size = setup->size;
	int r;

	if (!is_power_of_two(size) || size > vq->dev->class->queue_size)
		return -EINVAL;
	vq->size = setup->size;
	vq->event_idx = virtio_has(vq->dev, VIRTIO_F_EVENT_IDX);
	vq->indirect = virtio_has(vq->dev, VIRTIO_F_INDIRECT_DESC);
	vq->desc = map_ring(mem, setup->desc, size * sizeof(struct desc), 16);
	vq->avail = map_ring(mem, setup->driver, sizeof(*vq->avail) + size * 2 + 2, 2);
	vq->used = map_ring(mem, setup->device, used_len(size), 4);
	if (!vq->desc || !vq->avail || !vq->used)
		return -EFAULT;

	r = loop_watch_add(vq->dev->loop, &vq->kick, vq->kick_fd, POLLIN);
	if (r < 0)
		return r;
	if (vq->dev->class->polled)
		loop_poll_add(vq->dev->loop, &vq->poll);
	vq->running = true;
	/* Kicks may have come before anybody watched. */
	loop_defer(vq->dev->loop, &vq->again);
	return 0;
}

void virtq_stop(struct virtq *vq)
{
	if (!vq->running)
		return;
	publish_now(vq);
	/* Only now: who keeps a log looks at it for the last time when all is stopped. */
	guest_mem_dirty(vq->dev->mem, vq->used, used_len(vq->size));
	loop_cancel(vq->dev->loop, &vq->publish);
	loop_cancel(vq->dev->loop, &vq->again);
	loop_watch_remove(vq->dev->loop, &vq->kick);
	if (vq->dev->class->polled)
		loop_poll_remove(vq->dev->loop, &vq->poll);
	vq->running = false;
}

bool virtq_lend(struct virtq *vq, struct virtq_loan *ret_loan)
{
	struct virtio_transport *transport = vq->dev->transport;
	int call_fd;

	assert(!vq->nr_in_flight);
	if (!vq->running)
		return false;
	publish_now(vq);
	loop_cancel(vq->dev->loop, &vq->publish);
	loop_cancel(vq->dev->loop, &vq->again);
	loop_watch_remove(vq->dev->loop, &vq->kick);
	vq->lent = true;
	call_fd = transport->queue_eventfd(transport, vq->index);
	*ret_loan = (struct virtq_loan){
		.size = vq->size,
		.next_avail = vq->next_avail,
		.desc = vq->desc,
		.avail = vq->avail,
		.used = vq->used,
		.kick_fd = vq->kick_fd,
		.call_fd = call_fd < 0 ? -1 : call_fd,
	};
	return true;
}

void virtq_take_back(struct virtq *vq, uint16_t next_avail)
{
	int r;

	vq->lent = false;
	vq->next_avail = next_avail;
	vq->next_used = vq->published = le16toh(atomic_load(&vq->used->idx));
	r = loop_watch_add(vq->dev->loop, &vq->kick, vq->kick_fd, POLLIN);
	if (r < 0)
		virtio_break(vq->dev, strerror(-r));
	loop_defer(vq->dev->loop, &vq->again);
}

bool virtq_is_lent(const struct virtq *vq)
{
	return vq->lent;
}

void virtq_get_position(const struct virtq *vq, struct virtq_position *position)
{
	position->next_avail = vq->next_avail;
	position->next_used = vq->next_used;
	position->nr_held = vq->nr_held;
	if (vq->nr_held)
		memcpy(position->held, vq->held + vq->first_held,
		       vq->nr_held * sizeof(vq->held[0]));
}

int virtq_set_position(struct virtq *vq, const struct virtq_position *position)
{
	virtq_reset(vq);
	vq->next_avail = position->next_avail;
	vq->next_used = vq->published = position->next_used;
	if (!position->nr_held)
		return 0;
	vq->held = calloc(position->nr_held, sizeof(vq->held[0]));
	if (!vq->held)
		return -ENOMEM;
	memcpy(vq->held, position->held, position->nr_held * sizeof(vq->held[0]));
	vq->nr_held = position->nr_held;
	return 0;
}

void virtq_reset(struct virtq *vq)
{
	free(vq->held);
	vq->held = NULL;
	vq->first_held = 0;
	vq->nr_held = 0;
	vq->next_avail = 0;
	vq->next_used = 0;
	vq->published = 0;
	vq->nr_in_flight = 0;
}

struct virtq *virtq_new(struct virtio_dev *dev, unsigned index)
{
	struct virtq *vq = calloc(1, sizeof(*vq));

	if (!vq)
		return NULL;
	vq->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vq->kick_fd < 0) {
		free(vq);
		return NULL;
	}
	vq->dev = dev;
	vq->index = index;
	vq->kick.ready = kicked;
	vq->again.run = run_again;
	vq->publish.run = publish;
	vq->poll.serve = serve_poll;
	vq->poll.sleep = sleep_poll;
	return vq;
}

struct virtq *virtq_free(struct virtq *vq)
{
	if (!vq)
		return NULL;
	close(vq->kick_fd);
	free(vq->held);
	free(vq);
	return NULL;
}

unsigned virtq_index(const struct virtq *vq)
{
	return vq->index;
}

unsigned virtq_size(const struct virtq *vq)
{
	return vq->size;
}

void virtq_count_packet(struct virtq *vq, uint64_t len)
{
	count(&vq->packets, 1);
	count(&vq->bytes, len);
}

void virtq_count_drop(struct virtq *vq)
{
	count(&vq->drops, 1);
}

struct virtq_counts virtq_counts(const struct virtq *vq)
{
	return (struct virtq_counts){
		.kicks = atomic_load_explicit(&vq->kicks, memory_order_relaxed),
		.interrupts = atomic_load_explicit(&vq->interrupts, memory_order_relaxed),
		.requests = atomic_load_explicit(&vq->requests, memory_order_relaxed),
		.packets = atomic_load_explicit(&vq->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&vq->bytes, memory_order_relaxed),
		.drops = atomic_load_explicit(&vq->drops, memory_order_relaxed),
		.lent = vq->lent,
	};
}

int virtq_kick_fd(const struct virtq *vq)
{
	return vq->kick_fd;
}
