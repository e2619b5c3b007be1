/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - a virtual disk: bytes at offsets, in some format, in some file.
 *
 * A disk belongs to one loop for its life.  It is opened and closed while
 * nothing is in flight, on the main thread; requests are the owner's.
 *
 * The format is never guessed from an image's content, since a guest can write
 * that: it is what the configuration says, else what the ending of the file's
 * name says, else raw.
 */
#ifndef BLOCK_DISK_H
#define BLOCK_DISK_H

#include "base/iov.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;
struct err;
struct file;

struct disk_config {
	const char *id;			/* for messages */
	const char *path;
	const char *format;		/* NULL: by the ending of the name */
	bool read_only;
	bool direct;			/* O_DIRECT */
};

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,		/* makes durable what has completed before */
};

/* Embedded in the caller's own request object; nothing is allocated for it. */
struct disk_request {
	enum disk_op op;
	bool durable;			/* of a write: complete only when durable */
	uint64_t at, len;		/* bytes; 0 for a flush */
	struct iovec *segs;		/* len bytes in all; may be changed until done */
	unsigned nr_segs;

	/* res is 0 or a negative errno. */
	void (*done)(struct disk_request *request, int res);

	/* The block layer's own. */
	const struct file *file;
	struct loop *loop;
	struct loop_io io;
	struct iov left;		/* not yet transferred */
	void *bounce;			/* aligned memory in place of segs, or NULL */
	struct iovec bounce_seg;
	struct loop_task fail;		/* completes a request that was refused */
	int refusal;
};

/*
 * Opens and locks the image: one writer or many readers, among all processes.
 * config is copied.
 */
int disk_open(struct disk **ret_disk, const struct disk_config *config,
	      struct loop *loop, struct err *err);
struct disk *disk_close(struct disk *disk);		/* -> NULL */

/*
 * Owner.  done() is called later, never from within.  request and segs stay
 * alive until then.  Refused are a range beyond the end or not in whole blocks
 * (-EINVAL) and a write to a read-only disk (-EROFS).
 */
void disk_submit(struct disk *disk, struct disk_request *request);

uint64_t disk_size(const struct disk *disk);		/* bytes, a multiple of 512 */
uint32_t disk_block_size(const struct disk *disk);	/* bytes; the unit of I/O */
bool disk_read_only(const struct disk *disk);

#endif
