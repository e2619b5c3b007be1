// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_op.c - requests under way: piece by piece, and what they wait for.
 *
 * Ops and buffers come from pools that grow to what was once needed at a time.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_ALIGN 4096

/* Queues. */

void qcow2_op_wait(struct qcow2_op *op, struct qcow2_queue *queue)
{
	op->next = NULL;
	if (queue->last)
		queue->last->next = op;
	else
		queue->first = op;
	queue->last = op;
}

void qcow2_op_wake(struct qcow2_queue *queue, int res)
{
	struct qcow2_op *op = queue->first;

	*queue = (struct qcow2_queue){ 0 };	/* who must wait again does so anew */
	while (op) {
		struct qcow2_op *next = op->next;

		op->next = NULL;
		op->resume(op, res);
		op = next;
	}
}

/* Life of an op. */

struct qcow2_op *qcow2_op_new(struct qcow2 *q)
{
	struct qcow2_op *op = q->unused_ops;

	if (op)
		q->unused_ops = op->next;
	else
		op = malloc(sizeof(*op));
	if (op) {
		/* What follows is filled in whole before each use. */
		memset(op, 0, offsetof(struct qcow2_op, inner));
		op->q = q;
	}
	return op;
}

static void link_in_flight(struct qcow2 *q, struct qcow2_op *op)
{
	op->seq = q->next_seq++;
	op->older = q->newest;
	if (q->newest)
		q->newest->newer = op;
	else
		q->oldest = op;
	q->newest = op;
}

static void unlink_in_flight(struct qcow2 *q, struct qcow2_op *op)
{
	if (op->older)
		op->older->newer = op->newer;
	else
		q->oldest = op->newer;
	if (op->newer)
		op->newer->older = op->older;
	else
		q->newest = op->older;
}

/* An inner request belongs to no disk: nobody counts it. */
static void give_back(struct disk_request *request, int res)
{
	if (request->disk)
		disk_format_done(request, res);
	else
		request->done(request, res);
}

static void deferred(struct file_io *io, int res)
{
	give_back(container_of(io, struct disk_request, io), res);
}

static void end_later(struct qcow2 *q, struct disk_request *request, int res)
{
	request->io.done = deferred;
	file_refuse(q->disk->loop, &request->io, res);
}

void qcow2_op_end(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	struct disk_request *request = op->request;
	bool submitting = op->submitting;

	assert(!op->nr_parts && !op->claim.active);
	assert(q->table_maker != op && q->growth.op != op);
	qcow2_op_put_buf(op);
	unlink_in_flight(q, op);
	op->next = q->unused_ops;
	q->unused_ops = op;
	if (submitting)
		end_later(q, request, res);
	else
		give_back(request, res);
}

static int step(struct qcow2_op *op)
{
	switch (op->request->op) {
	case DISK_READ:
		return qcow2_read_step(op);
	case DISK_WRITE:
		return qcow2_write_step(op);
	default:
		return qcow2_zero_step(op);
	}
}

void qcow2_op_run(struct qcow2_op *op, int res)
{
	op->resume = qcow2_op_run;
	if (res == -ENOSPC && qcow2_free_wait(op, 0) == QCOW2_LATER)
		return;		/* and then begins the piece again */
	while (res >= 0 && op->done < op->request->len) {
		res = step(op);
		if (res == QCOW2_LATER)
			return;
	}
	if (res < 0 && !op->part_res)
		op->part_res = res;
	op->ending = true;
	if (op->nr_parts)
		return;
	res = op->part_res;
	if (res >= 0 && op->is_flush) {
		res = qcow2_writeback_flush_step(op);
		if (res == QCOW2_LATER)
			return;
	}
	qcow2_op_end(op, res);
}

void qcow2_op_advance(struct qcow2_op *op)
{
	op->done += op->piece;
	op->piece = 0;
}

void qcow2_op_submit(struct qcow2 *q, struct disk_request *request,
		     struct qcow2_op *parent)
{
	struct qcow2_op *op = qcow2_op_new(q);

	if (!op) {
		end_later(q, request, -ENOMEM);
		return;
	}
	op->request = request;
	op->parent = parent;
	op->is_flush = request->op == DISK_FLUSH ||
		       (request->op != DISK_READ && request->durable);
	link_in_flight(q, op);
	op->submitting = true;
	qcow2_op_run(op, 0);
	op->submitting = false;
}

/* Memory of the request. */

static struct iov memory_of(const struct qcow2_op *op)
{
	const struct disk_request *request = op->request;

	return iov_of(request->segs, request->nr_segs, request->len);
}

struct iov qcow2_op_cut(struct qcow2_op *op, uint64_t off, uint64_t len)
{
	struct iov memory = memory_of(op);

	if (len == memory.len)
		return memory;
	return iov_cut(&memory, off, len, op->segs, ARRAY_LEN(op->segs));
}

int qcow2_op_copy_out(struct qcow2_op *op, uint8_t *to, uint64_t off, size_t len)
{
	struct iov memory = memory_of(op);

	return file_copy(&memory, off, to, len);
}

void qcow2_op_copy_in(struct qcow2_op *op, const uint8_t *from, uint64_t off, size_t len)
{
	struct iov memory = memory_of(op);
	int r = iov_write(&memory, off, from, len);

	assert(!r);
	(void)r;
}

void qcow2_op_fill_zero(struct qcow2_op *op, uint64_t off, uint64_t len)
{
	struct iov memory = memory_of(op);
	int r = iov_zero(&memory, off, len);

	assert(!r);
	(void)r;
}

/* Transfers. */

static void transferred(struct file_io *io, int res)
{
	struct qcow2_op *op = container_of(io, struct qcow2_op, io);

	op->resume(op, res);
}

static void start(struct qcow2_op *op, enum disk_op what, uint64_t at, uint64_t len)
{
	op->io.op = what;
	op->io.at = at;
	op->io.len = len;
	op->io.pad = true;
	op->io.durable = op->io.unmap = false;
	op->io.done = transferred;
	file_submit(op->q->file, op->q->disk->loop, &op->io);
}

void qcow2_op_transfer(struct qcow2_op *op, enum disk_op what, uint64_t at,
		       uint64_t off, uint64_t len)
{
	struct iov memory = qcow2_op_cut(op, off, len);

	op->io.segs = memory.segs;
	op->io.nr_segs = memory.nr;
	start(op, what, at, len);
}

void qcow2_op_transfer_bytes(struct qcow2_op *op, enum disk_op what, uint64_t at,
			     uint8_t *bytes, uint64_t len)
{
	op->seg = (struct iovec){ bytes, len };
	op->io.segs = &op->seg;
	op->io.nr_segs = 1;
	start(op, what, at, len);
}

void qcow2_op_piece_done(struct qcow2_op *op, int res)
{
	if (res >= 0)
		qcow2_op_advance(op);
	qcow2_op_run(op, res);
}

static void part_done(struct qcow2_op *part, int res)
{
	struct qcow2_op *op = part->whole;
	struct qcow2 *q = op->q;

	part->next = q->unused_ops;
	q->unused_ops = part;
	if (res < 0 && !op->part_res)
		op->part_res = res;
	q->nr_parts--;
	if (!--op->nr_parts && op->ending)
		qcow2_op_run(op, op->part_res);
}

int qcow2_op_transfer_piece(struct qcow2_op *op, enum disk_op what, uint64_t at)
{
	struct qcow2_op *part = NULL;

	if (op->done + op->piece < op->request->len && op->q->nr_parts < QCOW2_PARTS_MAX)
		part = qcow2_op_new(op->q);
	if (!part) {
		op->resume = qcow2_op_piece_done;
		qcow2_op_transfer(op, what, at, op->done, op->piece);
		return QCOW2_LATER;
	}
	part->whole = op;
	part->request = op->request;
	part->resume = part_done;
	op->nr_parts++;
	op->q->nr_parts++;
	qcow2_op_transfer(part, what, at, op->done, op->piece);
	qcow2_op_advance(op);
	return 0;
}

void qcow2_op_inner_done(struct disk_request *request, int res)
{
	struct qcow2_op *op = container_of(request, struct qcow2_op, inner);

	op->resume(op, res);
}

static void synced(struct file_io *io, int res)
{
	struct qcow2_op *op = container_of(io, struct qcow2_op, io);

	if (res < 0)
		op->q->failed = true;
	op->resume(op, res);
}

void qcow2_op_sync(struct qcow2_op *op)
{
	op->io = (struct file_io){ .op = DISK_FLUSH, .done = synced };
	file_submit(op->q->file, op->q->disk->loop, &op->io);
}

/*
 * Buffers: a cluster of data, then as much again as a compressed cluster can
 * take, then a cluster that an op uses which reads on behalf of the buffer's
 * owner, so that no op ever waits for a second one.
 */

int qcow2_op_get_buf(struct qcow2_op *op)
{
	struct qcow2_buffers *buffers = &op->q->buffers;
	void *made;

	if (op->buf)
		return 0;
	if (op->parent) {
		op->buf = op->parent->buf + op->q->cluster;
		return 0;
	}
	if (buffers->nr_unused) {
		op->buf = buffers->unused[--buffers->nr_unused];
		return 0;
	}
	if (buffers->nr < buffers->max &&
	    !posix_memalign(&made, BUFFER_ALIGN, 4 * op->q->cluster + op->q->sector)) {
		buffers->nr++;
		op->buf = made;
		return 0;
	}
	if (!buffers->nr)
		return -ENOMEM;
	qcow2_op_wait(op, &buffers->waiters);
	return QCOW2_LATER;
}

void qcow2_op_put_buf(struct qcow2_op *op)
{
	struct qcow2_buffers *buffers = &op->q->buffers;

	if (!op->buf)
		return;
	if (!op->parent)
		buffers->unused[buffers->nr_unused++] = op->buf;
	op->buf = NULL;
	if (!op->parent)
		qcow2_op_wake(&buffers->waiters, 0);
}

void qcow2_op_free_all(struct qcow2 *q)
{
	assert(!q->oldest);
	while (q->unused_ops) {
		struct qcow2_op *op = q->unused_ops;

		q->unused_ops = op->next;
		free(op);
	}
	while (q->buffers.nr_unused)
		free(q->buffers.unused[--q->buffers.nr_unused]);
}
