// SPDX-License-Identifier: Apache-2.0
#include "disk_copy.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_map.h"
#include "disk_packers.h"
#include "disk_tool.h"
#include "progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NR_SLOTS	8
#define CHUNK		(1 * MiB)
#define PROBE		16	/* bytes that are compared with what follows them */

struct copier;

/* A buffer on its way: read, written run by run, read ... */
struct slot {
	struct copier *copier;
	struct disk_request request;
	struct iovec seg;
	uint8_t *bytes;
	uint8_t *others;		/* of a rebase: what the new backing file holds */
	struct disk_packers_job job;
	uint64_t at, len;		/* of what it holds */
	uint64_t written;		/* bytes of it that are done with */
};

struct copier {
	struct disk_tool *tool;
	const struct disk_copy *copy;
	uint64_t at, end;		/* what no slot has taken yet */
	struct disk_extent extent;	/* the part of it that is stored alike */
	struct disk_extent other;	/* of a rebase: likewise, in the new backing file */
	uint64_t chunk;			/* bytes that a slot takes at most */
	unsigned nr_slots, nr_busy;
	int res;			/* first failure */
	struct slot *unread;		/* what it was reading; NULL: it was something else */
	struct disk *unread_from;
	struct err *err;
	struct progress progress;
	struct slot slots[NR_SLOTS];
};

bool disk_copy_is_zero(const uint8_t *bytes, uint64_t len)
{
	static const uint8_t zeros[PROBE];

	if (len <= PROBE)
		return !memcmp(bytes, zeros, len);
	return !memcmp(bytes, zeros, PROBE) && !memcmp(bytes, bytes + PROBE, len - PROBE);
}

static void fail(struct copier *c, int res)
{
	if (!c->res)
		c->res = res;
}

static bool is_zeros(const struct disk_extent *x)
{
	return x->stored == DISK_STORED_NOT || x->stored == DISK_STORED_ZERO;
}

static bool is_wanted(const struct copier *c)
{
	const struct disk_extent *x = &c->extent;

	if (c->copy->rebase)
		return (x->depth || x->stored == DISK_STORED_NOT) &&
		       !(is_zeros(x) && is_zeros(&c->other));
	if (x->depth > c->copy->depth_max || x->stored == DISK_STORED_NOT)
		return false;
	return x->stored != DISK_STORED_ZERO || !c->copy->to_is_new;
}

/* Have *extent describe what is at c->at; beyond the end, and in no disk, are zeros. */
static void look(struct copier *c, struct disk *disk, struct disk_extent *extent)
{
	if (c->res || c->at - extent->at < extent->len)
		return;
	if (disk && c->at < disk_size(disk))
		fail(c, disk_map(disk, c->at, extent, c->err));
	else
		*extent = (struct disk_extent){ .at = c->at, .len = c->end - c->at };
}

/* Where what was found ends. */
static uint64_t found_end(const struct copier *c)
{
	uint64_t end = c->extent.at + c->extent.len;

	return c->copy->rebase ? min_u64(end, c->other.at + c->other.len) : end;
}

/* Go to the next byte that has to be copied; false: there is none, or an error. */
static bool find_next(struct copier *c)
{
	for (; c->at < c->end; c->at = found_end(c)) {
		look(c, c->copy->from, &c->extent);
		if (c->copy->rebase)
			look(c, c->copy->new_backing, &c->other);
		if (c->res)
			return false;
		if (is_wanted(c))
			return true;
	}
	return false;
}

static void start(struct slot *slot);

static void submit(struct slot *slot, struct disk *disk, enum disk_op op, uint64_t off,
		   uint64_t len, void (*done)(struct disk_request *, int))
{
	slot->seg = (struct iovec){ slot->bytes + off, len };
	slot->request = (struct disk_request){
		.op = op, .at = slot->at + off, .len = len, .done = done,
		.segs = &slot->seg, .nr_segs = op == DISK_ZERO ? 0 : 1,
		.unmap = op == DISK_ZERO,
	};
	disk_submit(disk, &slot->request);
}

/* Need the unit at off of the buffer not be written? */
static bool is_there(const struct slot *slot, uint64_t off)
{
	const struct disk_copy *copy = slot->copier->copy;
	uint64_t len = min_u64(copy->unit, slot->len - off);

	return copy->rebase ? !memcmp(slot->bytes + off, slot->others + off, len) :
			      disk_copy_is_zero(slot->bytes + off, len);
}

/* The next run within the buffer that has to be written; its length, 0: there is none. */
static uint64_t next_run(const struct slot *slot, uint64_t *ret_off)
{
	const struct disk_copy *copy = slot->copier->copy;
	uint64_t off = slot->written, end;

	if (!copy->to_is_new && !copy->rebase) {
		*ret_off = off;
		return slot->len - off;
	}
	while (off < slot->len && is_there(slot, off))
		off += copy->unit;
	if (off >= slot->len)
		return 0;
	for (end = off + copy->unit; end < slot->len; end += copy->unit)
		if (is_there(slot, end))
			break;
	*ret_off = off;
	return min_u64(end, slot->len) - off;
}

static void write_failed(struct copier *c, int res)
{
	if (!c->res)
		err_sys(c->err, res, "cannot write '%s'", c->copy->to_path);
	fail(c, res);
}

static void run_written(struct disk_request *request, int res);

static void write_next(struct slot *slot)
{
	uint64_t off, len = next_run(slot, &off);

	if (!len || slot->copier->res) {
		start(slot);
		return;
	}
	slot->written = off + len;
	submit(slot, slot->copier->copy->to, DISK_WRITE, off, len, run_written);
}

static void run_written(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (res < 0)
		write_failed(slot->copier, res);
	write_next(slot);
}

static void zeros_written(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (res < 0)
		write_failed(slot->copier, res);
	start(slot);
}

static void read_failed(struct slot *slot, struct disk *disk, int res)
{
	struct copier *c = slot->copier;

	if (!c->res) {
		c->unread = slot;
		c->unread_from = disk;
	}
	fail(c, res);
}

/* Tell which of the bytes it is: the shortest beginning of them that fails ends there. */
static void tell_unread(struct copier *c)
{
	const struct slot *slot = c->unread;
	uint32_t block = disk_block_size(c->unread_from);
	uint64_t good = 0, bad = align_up(slot->len, block);
	bool damaged = c->res == -EIO;

	while (bad - good > block) {
		uint64_t len = good + align_up((bad - good) / 2, block);
		struct iovec seg = { slot->bytes, len };
		struct disk_request request = {
			.op = DISK_READ, .at = slot->at, .len = len, .segs = &seg, .nr_segs = 1,
		};

		if (disk_tool_do(c->tool, c->unread_from, &request) < 0)
			bad = len;
		else
			good = len;
	}
	err_sys(c->err, c->res, "cannot read '%s' at %llu%s", c->unread_from == c->copy->from ?
		c->copy->from_path : disk_id(c->unread_from),
		(unsigned long long)(slot->at + good),
		damaged ? ", where it, or what holds it, is damaged (vmm disk check tells more "
			  "of qcow2)" : "");
}

static void others_read(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (res < 0)
		read_failed(slot, slot->copier->copy->new_backing, res);
	write_next(slot);
}

/* A chunk is either within the new backing file, or beyond all of it. */
static void read_others(struct slot *slot)
{
	struct disk *disk = slot->copier->copy->new_backing;

	if (disk && slot->at < disk_size(disk)) {
		slot->seg = (struct iovec){ slot->others, slot->len };
		slot->request = (struct disk_request){
			.op = DISK_READ, .at = slot->at, .len = slot->len,
			.segs = &slot->seg, .nr_segs = 1, .done = others_read,
		};
		disk_submit(disk, &slot->request);
		return;
	}
	memset(slot->others, 0, slot->len);
	write_next(slot);
}

static void packed(struct loop_task *task)
{
	struct slot *slot = container_of(task, struct slot, job.done);

	if (slot->job.res < 0)
		write_failed(slot->copier, slot->job.res);
	start(slot);
}

static void pack(struct slot *slot)
{
	uint64_t len = align_up(slot->len, slot->copier->copy->unit);

	memset(slot->bytes + slot->len, 0, len - slot->len);
	slot->job = (struct disk_packers_job){
		.bytes = slot->bytes, .at = slot->at, .len = len,
		.loop = slot->copier->tool->loop, .done.run = packed,
	};
	disk_packers_submit(slot->copier->copy->packers, &slot->job);
}

static void chunk_read(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);
	struct copier *c = slot->copier;

	if (res < 0)
		read_failed(slot, c->copy->from, res);
	if (c->copy->rebase && !c->res)
		read_others(slot);
	else if (c->copy->packers && !c->res)
		pack(slot);
	else
		write_next(slot);
}

/*
 * Take what is next, whole units of it where they are packed: what precedes c->at within
 * its unit no slot has taken, since each ends with one.
 */
static void take(struct copier *c, struct slot *slot, bool zeros)
{
	uint64_t end = found_end(c);

	slot->at = c->at;
	if (c->copy->packers) {
		slot->at = align_down(c->at, c->copy->unit);
		end = min_u64(align_up(end, c->copy->unit), c->end);
	}
	if (!zeros)
		end = min_u64(end, align_down(slot->at, c->chunk) + c->chunk);
	slot->len = end - slot->at;
	slot->written = 0;
	c->at = end;
}

static void start(struct slot *slot)
{
	struct copier *c = slot->copier;
	bool zeros;

	progress_show(&c->progress, c->at);
	if (c->res || c->tool->interrupted || !find_next(c)) {
		if (!--c->nr_busy)
			loop_quit(c->tool->loop);
		return;
	}
	zeros = c->extent.stored == DISK_STORED_ZERO && !c->copy->rebase;
	take(c, slot, zeros);
	if (zeros)
		submit(slot, c->copy->to, DISK_ZERO, 0, slot->len, zeros_written);
	else
		submit(slot, c->copy->from, DISK_READ, 0, slot->len, chunk_read);
}

struct beginning {
	struct loop_task task;
	struct copier *copier;
};

static void begin(struct loop_task *task)
{
	struct copier *c = container_of(task, struct beginning, task)->copier;

	for (unsigned i = 0; i < c->nr_slots; i++)
		start(&c->slots[i]);
}

static int copy_all(struct copier *c)
{
	struct beginning beginning = { .task.run = begin, .copier = c };
	int r = 0;

	c->nr_busy = c->nr_slots;
	progress_start(&c->progress, c->copy->what, c->end);
	loop_defer(c->tool->loop, &beginning.task);
	while (c->nr_busy && r >= 0)
		r = loop_run(c->tool->loop);
	progress_end(&c->progress);
	if (c->unread && r >= 0)
		tell_unread(c);
	if (r < 0)
		return err_sys(c->err, r, "cannot copy '%s'", c->copy->from_path);
	return c->res ? c->res : disk_tool_check(c->tool, c->err);
}

static int flush(struct copier *c)
{
	struct disk_request request = { .op = DISK_FLUSH };
	int r = disk_tool_do(c->tool, c->copy->to, &request);

	return r < 0 ? err_sys(c->err, r, "cannot write '%s'", c->copy->to_path) : 0;
}

int disk_copy_run(struct disk_tool *tool, const struct disk_copy *copy, struct err *err)
{
	uint64_t chunk = max_u64(CHUNK, copy->unit);
	struct copier c = {
		.tool = tool, .copy = copy, .chunk = chunk, .end = disk_size(copy->from),
		.err = err,
		/* Nothing may be about to change an image while it is mapped. */
		.nr_slots = copy->from == copy->to ? 1 : NR_SLOTS,
	};
	uint8_t *memory;
	int r;

	if (posix_memalign((void **)&memory, 4096, (NR_SLOTS + 1) * chunk))
		return err_sys(err, -ENOMEM, "cannot copy '%s'", copy->from_path);
	for (unsigned i = 0; i < c.nr_slots; i++) {
		c.slots[i].copier = &c;
		c.slots[i].bytes = memory + i * chunk;
		c.slots[i].others = memory + NR_SLOTS * chunk;	/* of the only slot */
	}
	r = copy_all(&c);
	free(memory);
	return r < 0 || copy->packers ? r : flush(&c);
}
