// SPDX-License-Identifier: Apache-2.0
/*
 * file_io.c - moves bytes between memory and a file, until all are moved.
 *
 * The kernel may move fewer bytes than it was asked to.  The rest is asked for
 * again: from the next whole segment on by the caller's own array, and the
 * remainder of a cut segment by itself, so that no copy of the array is needed.
 *
 * Direct I/O demands more of memory than a guest knows of.  Where a segment
 * does not comply the bytes go through a buffer, piece by piece: each piece is
 * then just a short transfer.
 *
 * Zeros are the file system's business (a hole, or a range marked as zero) for as
 * long as it does not refuse; from then on they are written.
 */
#include "block/file.h"

#include "base/bits.h"
#include "base/iov.h"
#include "base/lost_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

/* A guest chooses how long a request is, but not how much memory that costs. */
#define BOUNCE_MAX	(256 * KiB)

/* Zeros are written from one small buffer, many times over in each write. */
#define ZEROS_LEN	(64 * KiB)
#define NR_ZEROS	16

static _Alignas(4096) char zeros[ZEROS_LEN];
#define ZEROS_SEG	{ zeros, ZEROS_LEN }
#define ZEROS_SEGS	ZEROS_SEG, ZEROS_SEG, ZEROS_SEG, ZEROS_SEG
static const struct iovec zeros_segs[NR_ZEROS] = {
	ZEROS_SEGS, ZEROS_SEGS, ZEROS_SEGS, ZEROS_SEGS,
};

static bool fits_direct(const struct file *file, const struct file_io *io)
{
	for (unsigned i = 0; i < io->nr_segs; i++)
		if ((uintptr_t)io->segs[i].iov_base & (file->mem_align - 1) ||
		    io->segs[i].iov_len & (file->block_size - 1))
			return false;
	return true;
}

static struct iov memory_of(const struct file_io *io)
{
	return iov_of(io->segs, io->nr_segs, io->len);
}

static void move(struct file_io *io, const struct iovec *segs, unsigned nr)
{
	off_t at = (off_t)(io->at + io->moved);

	if (io->op == DISK_READ)
		loop_readv(io->loop, &io->loop_io, io->file->fd, segs, nr, at);
	else
		loop_writev(io->loop, &io->loop_io, io->file->fd, segs, nr, at,
			    io->durable ? RWF_DSYNC : 0);
}

int file_copy(const struct iov *memory, uint64_t off, void *to, size_t len)
{
	unsigned before = lost_memory_count();
	int r = iov_read(memory, off, to, len);

	return lost_memory_count() == before ? r : -EFAULT;
}

static void move_by_bounce(struct file_io *io)
{
	struct iov memory = memory_of(io);
	int r = 0;

	io->rest.iov_base = io->bounce;
	io->rest.iov_len = (size_t)min_u64(io->len - io->moved, BOUNCE_MAX);
	if (io->op == DISK_WRITE)
		r = file_copy(&memory, io->moved, io->bounce, io->rest.iov_len);
	if (!r) {
		move(io, &io->rest, 1);
		return;
	}
	free(io->bounce);
	io->bounce = NULL;
	file_refuse(io->loop, io, r);
}

static void move_in_place(struct file_io *io)
{
	struct iov memory = memory_of(io);
	uint64_t off = io->moved;
	const struct iovec *seg = iov_seek(&memory, &off);

	if (!off) {
		move(io, seg, io->nr_segs - (unsigned)(seg - io->segs));
		return;
	}
	io->rest.iov_base = (char *)seg->iov_base + off;
	io->rest.iov_len = seg->iov_len - off;
	move(io, &io->rest, 1);
}

static void write_zeros(struct file_io *io)
{
	uint64_t left = io->len - io->moved;

	if (left >= ZEROS_LEN) {
		move(io, zeros_segs, (unsigned)min_u64(left / ZEROS_LEN, NR_ZEROS));
		return;
	}
	io->rest = (struct iovec){ zeros, left };
	move(io, &io->rest, 1);
}

/* How the file system can do it, as far as is known; 0: not at all. */
static int choose_space_mode(const struct file_io *io)
{
	if ((io->op == DISK_DISCARD || io->unmap) && !io->file->no_holes)
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (io->op == DISK_ZERO && !io->file->no_zeroing)
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	return 0;
}

static void change_space(struct file_io *io)
{
	io->space_mode = choose_space_mode(io);
	if (io->space_mode)
		loop_fallocate(io->loop, &io->loop_io, io->file->fd, io->space_mode,
			       (off_t)io->at, (off_t)io->len);
	else if (io->op == DISK_ZERO)
		write_zeros(io);
	else
		file_refuse(io->loop, io, 0);
}

static void sync_data(struct file_io *io)
{
	loop_fdatasync(io->loop, &io->loop_io, io->file->fd);
}

static void start(struct file_io *io)
{
	if (io->syncing || io->op == DISK_FLUSH)
		sync_data(io);
	else if (io->op == DISK_DISCARD || io->op == DISK_ZERO)
		change_space(io);
	else if (io->bounce)
		move_by_bounce(io);
	else
		move_in_place(io);
}

static void finish(struct file_io *io, int res)
{
	free(io->bounce);
	io->bounce = NULL;
	io->done(io, res);
}

static void space_changed(struct file_io *io, int res)
{
	if (res == -EOPNOTSUPP) {
		if (io->space_mode & FALLOC_FL_PUNCH_HOLE)
			io->file->no_holes = true;
		else
			io->file->no_zeroing = true;
		start(io);
		return;
	}
	if (res < 0 || !io->durable || io->op == DISK_DISCARD) {
		finish(io, res);
		return;
	}
	io->syncing = true;
	start(io);
}

/* What is missing reads as zeros. */
static void pad(struct file_io *io)
{
	struct iov memory = memory_of(io);

	iov_zero(&memory, io->moved, io->len - io->moved);
	io->moved = io->len;
}

/* Direct I/O cannot even ask for what follows. */
static bool ends_within_block(const struct file_io *io)
{
	return io->file->direct && io->moved & (io->file->block_size - 1);
}

static void part_done(struct loop_io *loop_io, int res)
{
	struct file_io *io = container_of(loop_io, struct file_io, loop_io);

	if (res == -EINTR || res == -EAGAIN) {
		start(io);
		return;
	}
	if (io->space_mode && !io->syncing) {
		space_changed(io, res);
		return;
	}
	if (io->syncing || io->op == DISK_FLUSH) {
		if (res < 0 && !io->file->direct)
			io->file->flush_error = res;
		finish(io, res);
		return;
	}
	if (res < 0) {
		finish(io, res);
		return;
	}
	if (!res) {
		/* The file ends before its size of once, or what is asked for. */
		if (io->pad)
			pad(io);
		finish(io, io->pad ? 0 : -EIO);
		return;
	}
	if (io->bounce && io->op == DISK_READ) {
		struct iov memory = memory_of(io);

		iov_write(&memory, io->moved, io->bounce, (size_t)res);
	}
	io->moved += (uint64_t)res;
	if (io->pad && ends_within_block(io))
		pad(io);
	if (io->moved < io->len)
		start(io);
	else
		finish(io, 0);
}

static void run_refuse(struct loop_task *task)
{
	struct file_io *io = container_of(task, struct file_io, refuse);

	io->done(io, io->refusal);
}

void file_refuse(struct loop *loop, struct file_io *io, int res)
{
	io->refusal = res;
	io->refuse.run = run_refuse;
	loop_defer(loop, &io->refuse);
}

static bool get_bounce(struct file_io *io)
{
	uint64_t align = max_u64(io->file->mem_align, io->file->block_size);

	return !posix_memalign(&io->bounce, align, min_u64(io->len, BOUNCE_MAX));
}

void file_submit(struct file *file, struct loop *loop, struct file_io *io)
{
	io->file = file;
	io->loop = loop;
	io->loop_io.done = part_done;
	io->loop_io.device = file->direct;
	io->moved = 0;
	io->bounce = NULL;
	io->space_mode = 0;
	io->syncing = false;
	if (io->op == DISK_FLUSH && file->flush_error)
		file_refuse(loop, io, file->flush_error);
	else if (file->direct && !fits_direct(file, io) && !get_bounce(io))
		file_refuse(loop, io, -ENOMEM);
	else
		start(io);
}
