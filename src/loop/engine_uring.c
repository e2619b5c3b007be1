// SPDX-License-Identifier: Apache-2.0
/*
 * engine_uring.c - readiness and I/O by io_uring.
 *
 * What callbacks submit stays in the ring until the loop waits: one system call
 * hands it all over, and sleeps.  For devices there are more: of what one call brings
 * the kernel lets none begin before it has prepared all, and the device stands idle.
 *
 * A completion's user_data is a pointer whose low bits say what it points to.
 */
#include "engine.h"

#include "base/bits.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES	512
#define CQ_ENTRIES	2048

/* So many requests for a device are handed over at once. */
#define DEVICE_BATCH	4

/* What takes longer to copy than to hand to another thread. */
#define BULK_MIN	(64 * KiB)

/* What read(2) and write(2) move at most. */
#define MOVED_MAX	0x7ffff000U

/* Came with Linux 5.13, as did multishot poll, which nothing tells of. */
#define FEATURES_NEEDED	(IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS)

enum tag {
	TAG_IO,			/* struct loop_io */
	TAG_SLOT,		/* struct loop_slot */
	TAG_NONE,		/* nobody waits: a cancellation */
	TAG_MASK = 7,
};

/*
 * What the kernel knows of a watch.  It outlives the watch until the kernel's
 * last completion for it, so that a late one finds a slot and no watch.
 */
struct loop_slot {
	struct loop_watch *watch;
	struct loop_slot *next, **prev;	/* in uring->slots */
	int fd;
	unsigned events;
};

struct uring {
	struct engine engine;
	struct io_uring ring;
	struct loop_slot *slots;
	unsigned nr_held;		/* requests for a device that the kernel has not got */
};

static struct uring *uring_of(struct engine *engine)
{
	return container_of(engine, struct uring, engine);
}

/* Until the loop runs for the first time the kernel takes nothing from it. */
static bool is_disabled(const struct uring *uring)
{
	return uring->ring.flags & IORING_SETUP_R_DISABLED;
}

static struct io_uring_sqe *get_sqe(struct uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	while (!sqe) {
		assert(!is_disabled(uring));
		io_uring_submit(&uring->ring);
		sqe = io_uring_get_sqe(&uring->ring);
	}
	return sqe;
}

static void set_data(struct io_uring_sqe *sqe, void *ptr, enum tag tag)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)ptr | tag);
}

/* Watches. */

static void arm(struct uring *uring, struct loop_slot *slot)
{
	struct io_uring_sqe *sqe = get_sqe(uring);

	io_uring_prep_poll_multishot(sqe, slot->fd, slot->events);
	set_data(sqe, slot, TAG_SLOT);
}

static int watch_add(struct engine *engine, struct loop_watch *watch, int fd, unsigned events)
{
	struct uring *uring = uring_of(engine);
	struct loop_slot *slot = malloc(sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	*slot = (struct loop_slot){ .watch = watch, .fd = fd, .events = events };
	slot->prev = &uring->slots;
	slot->next = uring->slots;
	if (slot->next)
		slot->next->prev = &slot->next;
	uring->slots = slot;
	watch->slot = slot;
	if (!is_disabled(uring))	/* else enable() does it */
		arm(uring, slot);
	return 0;
}

static void free_slot(struct loop_slot *slot)
{
	if (slot->watch)
		slot->watch->slot = NULL;
	*slot->prev = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	free(slot);
}

static void watch_remove(struct engine *engine, struct loop_watch *watch)
{
	struct uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe;

	if (engine->over || is_disabled(uring)) {
		free_slot(watch->slot);
		return;
	}
	sqe = get_sqe(uring);
	/* A removal of the poll would be refused while an event is under way (-EALREADY). */
	io_uring_prep_cancel(sqe, (void *)((uintptr_t)watch->slot | TAG_SLOT), 0);
	set_data(sqe, NULL, TAG_NONE);
	watch->slot->watch = NULL;
	watch->slot = NULL;
}

static void slot_done(struct uring *uring, struct loop_slot *slot, int res, bool more)
{
	if (slot->watch && res != -ECANCELED)
		slot->watch->ready(slot->watch, res < 0 ? POLLERR : (unsigned)res);
	if (more)
		return;
	if (slot->watch && res >= 0) {
		arm(uring, slot);
		return;
	}
	free_slot(slot);
}

/* I/O. */

/* A single segment is told by value: a vector the kernel would have to fetch. */
static void prep_move(struct io_uring_sqe *sqe, const struct loop_io *io, bool writes)
{
	const struct iovec *seg = io->segs;
	uint64_t at = (uint64_t)io->at;

	if (io->nr_segs == 1)
		io_uring_prep_rw(writes ? IORING_OP_WRITE : IORING_OP_READ, sqe, io->fd,
				 seg->iov_base, (unsigned)min_u64(seg->iov_len, MOVED_MAX), at);
	else
		io_uring_prep_rw(writes ? IORING_OP_WRITEV : IORING_OP_READV, sqe, io->fd,
				 seg, io->nr_segs, at);
	sqe->rw_flags = writes ? io->flags : 0;
}

/* Without being told so the kernel hands on only what would block, and one at a time. */
static bool is_bulk(const struct engine *engine, const struct loop_io *io)
{
	return engine->bulk && io->segs->iov_len >= BULK_MIN;
}

static void submit(struct engine *engine, struct loop_io *io)
{
	struct uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe = get_sqe(uring);

	engine->nr_in_flight++;
	switch (io->op) {
	case LOOP_READV:
	case LOOP_WRITEV:
		prep_move(sqe, io, io->op == LOOP_WRITEV);
		if (is_bulk(engine, io))
			sqe->flags |= IOSQE_ASYNC;
		break;
	case LOOP_FDATASYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case LOOP_FALLOCATE:
		io_uring_prep_fallocate(sqe, io->fd, io->flags, io->at, io->len);
		break;
	}
	set_data(sqe, io, TAG_IO);
	if (io->device && ++uring->nr_held >= DEVICE_BATCH && !is_disabled(uring)) {
		uring->nr_held = 0;
		io_uring_submit(&uring->ring);
	}
}

/* The turn. */

/* NULL: none.  io_uring_peek_cqe() would ask the kernel for what came since. */
static struct io_uring_cqe *first_cqe(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head;

	io_uring_for_each_cqe(ring, head, cqe)
		return cqe;
	return NULL;
}

static void complete(struct engine *engine)
{
	struct uring *uring = uring_of(engine);
	struct io_uring_cqe *cqe;

	for (int n = 0; n < ENGINE_TURN_MAX && (cqe = first_cqe(&uring->ring)); n++) {
		uint64_t data = cqe->user_data;
		int res = cqe->res;
		bool more = cqe->flags & IORING_CQE_F_MORE;
		void *ptr = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);

		io_uring_cqe_seen(&uring->ring, cqe);
		if ((data & TAG_MASK) == TAG_IO) {
			struct loop_io *io = ptr;

			engine->nr_in_flight--;
			io->done(io, res);
		} else if ((data & TAG_MASK) == TAG_SLOT) {
			slot_done(uring, ptr, res, more);
		}
	}
}

static bool any(struct engine *engine)
{
	struct io_uring *ring = &uring_of(engine)->ring;
	unsigned flags = __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED);

	return flags & IORING_SQ_TASKRUN || io_uring_cq_ready(ring);
}

static int wait_turn(struct engine *engine, const uint64_t *timeout)
{
	struct uring *uring = uring_of(engine);
	struct io_uring *ring = &uring->ring;
	struct __kernel_timespec ts = { 0 };
	struct io_uring_cqe *cqe;
	int r;

	if (timeout) {
		ts.tv_sec = (int64_t)(*timeout / CLOCK_NS_PER_S);
		ts.tv_nsec = (int64_t)(*timeout % CLOCK_NS_PER_S);
	}
	uring->nr_held = 0;
	if (timeout && !*timeout)
		r = io_uring_submit_and_get_events(ring);
	else
		r = io_uring_submit_and_wait_timeout(ring, &cqe, 1, timeout ? &ts : NULL, NULL);
	if (r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY)
		return 0;
	return r < 0 ? r : 0;
}

/* Life. */

static int enable(struct engine *engine)
{
	struct uring *uring = uring_of(engine);

	if (!is_disabled(uring))
		return 0;
	/* io_uring_enable_rings() is missing from the library in Debian 12. */
	if (syscall(SYS_io_uring_register, uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
		    NULL, 0) < 0)
		return -errno;
	uring->ring.flags &= ~IORING_SETUP_R_DISABLED;
	for (struct loop_slot *slot = uring->slots; slot; slot = slot->next)
		arm(uring, slot);
	return 0;
}

static void free_uring(struct engine *engine)
{
	struct uring *uring = uring_of(engine);

	io_uring_queue_exit(&uring->ring);
	while (uring->slots)
		free_slot(uring->slots);
	free(uring);
}

static const struct engine_ops ops = {
	.name		= "io_uring",
	.enable		= enable,
	.watch_add	= watch_add,
	.watch_remove	= watch_remove,
	.submit		= submit,
	.wait		= wait_turn,
	.any		= any,
	.complete	= complete,
	.free		= free_uring,
};

/*
 * Completions run in the owner's system calls, not by interrupting it
 * (DEFER_TASKRUN, Linux 6.1), and a flag tells that there are some (5.19); older kernels
 * know less and do well without.
 */
static int make_ring(struct io_uring *ring)
{
	static const unsigned flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_R_DISABLED,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(flags) && r == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = flags[i] | IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};

		r = io_uring_queue_init_params(SQ_ENTRIES, ring, &p);
	}
	if (r >= 0 && (ring->features & FEATURES_NEEDED) != FEATURES_NEEDED) {
		io_uring_queue_exit(ring);
		r = -ENOSYS;
	}
	return r;
}

int engine_uring_new(struct engine **ret_engine)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int r;

	if (!uring)
		return -ENOMEM;
	uring->engine.ops = &ops;
	r = make_ring(&uring->ring);
	if (r < 0) {
		free(uring);
		/* Kernels before 5.12 count rings against the limit of locked memory. */
		return r == -ENOMEM ? -ENOSYS : r;
	}
	*ret_engine = &uring->engine;
	return 0;
}
