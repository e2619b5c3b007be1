// SPDX-License-Identifier: Apache-2.0
#include "disk_copy.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_map.h"
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
	uint64_t at, len;		/* of what it holds */
	uint64_t written;		/* bytes of it that are done with */
};

struct copier {
	struct disk_tool *tool;
	const struct disk_copy *copy;
	uint64_t at, end;		/* what no slot has taken yet */
	struct disk_extent extent;	/* the part of it that is stored alike */
	unsigned nr_busy;
	int res;			/* first failure */
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

static bool is_wanted(const struct copier *c)
{
	const struct disk_extent *x = &c->extent;

	if (x->depth > c->copy->depth_max || x->stored == DISK_STORED_NOT)
		return false;
	return x->stored != DISK_STORED_ZERO || !c->copy->to_is_new;
}

/* Go to the next byte that has to be copied; false: there is none, or an error. */
static bool find_next(struct copier *c)
{
	while (c->at < c->end) {
		uint64_t extent_end = c->extent.at + c->extent.len;

		if (c->at < extent_end) {
			if (is_wanted(c))
				return true;
			c->at = extent_end;
			continue;
		}
		fail(c, disk_map(c->copy->from, c->at, &c->extent, c->err));
		if (c->res)
			return false;
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

/* The next run within the buffer that is not zeros; its length, 0: there is none. */
static uint64_t next_run(const struct slot *slot, uint64_t *ret_off)
{
	const struct disk_copy *copy = slot->copier->copy;
	uint64_t off = slot->written, end;

	if (!copy->to_is_new) {
		*ret_off = off;
		return slot->len - off;
	}
	while (off < slot->len &&
	       disk_copy_is_zero(slot->bytes + off, min_u64(copy->unit, slot->len - off)))
		off += copy->unit;
	if (off >= slot->len)
		return 0;
	for (end = off + copy->unit; end < slot->len; end += copy->unit)
		if (disk_copy_is_zero(slot->bytes + end, min_u64(copy->unit, slot->len - end)))
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

static void chunk_read(struct disk_request *request, int res)
{
	struct slot *slot = container_of(request, struct slot, request);
	struct copier *c = slot->copier;

	if (res < 0) {
		if (!c->res)
			err_sys(c->err, res, "cannot read '%s' at %llu", c->copy->from_path,
				(unsigned long long)request->at);
		fail(c, res);
	}
	write_next(slot);
}

/* The slot takes what is next. */
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
	zeros = c->extent.stored == DISK_STORED_ZERO;
	slot->at = c->at;
	slot->written = 0;
	slot->len = c->extent.at + c->extent.len - c->at;
	if (!zeros)
		slot->len = min_u64(slot->len, CHUNK - c->at % CHUNK);
	c->at += slot->len;
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

	for (unsigned i = 0; i < NR_SLOTS; i++)
		start(&c->slots[i]);
}

static int copy_all(struct copier *c)
{
	struct beginning beginning = { .task.run = begin, .copier = c };
	int r = 0;

	c->nr_busy = NR_SLOTS;
	progress_start(&c->progress, c->copy->what, c->end);
	loop_defer(c->tool->loop, &beginning.task);
	while (c->nr_busy && r >= 0)
		r = loop_run(c->tool->loop);
	progress_end(&c->progress);
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
	struct copier c = {
		.tool = tool, .copy = copy, .end = disk_size(copy->from), .err = err,
	};
	uint8_t *memory;
	int r;

	if (posix_memalign((void **)&memory, 4096, NR_SLOTS * CHUNK))
		return err_sys(err, -ENOMEM, "cannot copy '%s'", copy->from_path);
	for (unsigned i = 0; i < NR_SLOTS; i++) {
		c.slots[i].copier = &c;
		c.slots[i].bytes = memory + i * CHUNK;
	}
	r = copy_all(&c);
	free(memory);
	return r < 0 ? r : flush(&c);
}
