/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - the file or block device that a disk's image is in.
 *
 * Opened and judged by file.c on the main thread; read and written by file_io.c
 * on the loop of its disk.
 */
#ifndef BLOCK_FILE_H
#define BLOCK_FILE_H

#include "block/disk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct iov;

struct file {
	_Atomic(int) fd;	/* -1: closed, which may come while others ask about it */
	uint64_t size;		/* bytes, as last looked at */
	uint32_t block_size;	/* offsets and lengths are multiples of it */
	bool direct;
	uint32_t mem_align;	/* direct: addresses are multiples of it */
	uint32_t hole_unit;	/* bytes: holes are multiples of it, here and in their place */
	struct disk_topology topology;

	/* Owner: what the file system has turned out not to be able to do. */
	bool no_holes, no_zeroing;

	/*
	 * Owner: a flush through the page cache failed.  The kernel has then forgotten
	 * what it could not write, and the next flush would succeed; ours does not.
	 */
	int flush_error;
};

/* Also locks it until file_close(), against other processes and ourselves. */
int file_open(struct file *file, const char *path, bool read_only, struct err *err);

/* Only to read, and without a lock; but whoever may not write it fails, unless read_only. */
int file_look(struct file *file, const char *path, bool read_only, struct err *err);

void file_close(struct file *file);

/*
 * Lock what is at path as one who writes it does, whatever it is; returns what to close
 * when it may be used again.  -EBUSY: somebody else has it.  Any thread.
 */
int file_claim(const char *path, struct err *err);

/* Bypass the page cache from now on.  Main. */
int file_set_direct(struct file *file, const char *path, struct err *err);

/*
 * Of a file for which that was done: for a while go through the page cache, or not
 * any more.  Main.
 */
int file_bypass_cache(const struct file *file, bool bypass);

/* Is it what path leads to now? */
bool file_is_at(const struct file *file, const char *path);

/* How what is at path was left, and its inode, or 0.  Any thread. */
struct disk_mark file_mark(const char *path, uint64_t *ret_inode);

/* Which it is; if it is closed, what path leads to.  Any thread. */
struct disk_identity file_identity(const struct file *file, const char *path);

/*
 * Have what this host keeps of a block device read anew, since another host may have
 * written it; a file system sees to that itself.
 */
void file_forget(const struct file *file);

/* Make a file size bytes long, or see that a device is.  Any thread. */
int file_grow(struct file *file, uint64_t size, struct err *err);

/* The first bytes, before file_set_direct(); returns how many.  Main. */
int file_read_head(const struct file *file, void *buf, size_t len);

/*
 * Start io: op to len, and done, are filled in and within the file.  done() gets
 * 0 or a negative errno, -EIO when the file has become shorter; it is called
 * later, never from within.
 *
 * Where the file system has no holes a discard does nothing, and zeros are written.
 * Where it has, what was discarded reads as zeros.  Owner.
 */
void file_submit(struct file *file, struct loop *loop, struct file_io *io);

/*
 * Copy of a guest's memory what it writes, as iov_read() does; -EFAULT where some of that is
 * lost (base/lost_memory.h), so that to has not what the guest wrote.  Any thread.
 */
int file_copy(const struct iov *memory, uint64_t off, void *to, size_t len);

/* Have io->done() called with res at the end of this turn, without I/O.  Owner. */
void file_refuse(struct loop *loop, struct file_io *io, int res);

#endif
