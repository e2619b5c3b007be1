/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.h - a vmdk image: extents one after the other.
 *
 * Opened by vmdk_open.c, read by vmdk.c.
 */
#ifndef BLOCK_VMDK_H
#define BLOCK_VMDK_H

#include "block/file.h"
#include "block/vmdk_cache.h"
#include "block/vmdk_sparse.h"
#include "block/vmdk_text.h"

#include <stdbool.h>
#include <stdint.h>

#define VMDK_READS_MAX	64	/* requests that are worked on at a time */

struct disk;
struct err;

struct vmdk_extent {
	enum vmdk_extent_kind kind;
	uint64_t start, len;		/* bytes of the disk */
	struct file *file;		/* the disk's, or own; NULL: zeros */
	struct file own;
	uint64_t at;			/* flat: bytes of the file */
	struct vmdk_sparse sparse;
};

/* A request, and how far it has come. */
struct vmdk_read {
	struct vmdk *vmdk;
	struct disk_request *request;
	uint64_t moved;			/* bytes */
	struct vmdk_waiter waiter;
	struct file_io io;
	struct iovec segs[16];
	struct vmdk_read *next;		/* while it is free */
};

struct vmdk {
	enum vmdk_type type;
	struct disk *disk;
	const char *path;		/* while it is opened */
	uint32_t nr_extents;
	struct vmdk_extent *extents;
	struct vmdk_cache tables, grains;
	struct vmdk_read reads[VMDK_READS_MAX];
	struct vmdk_read *free;

	/* Those that wait for a free one, oldest first. */
	struct disk_request *first, *last;
	bool starting;			/* one of them is being started */
};

/* Fill in the extents and the disk's size.  Main. */
int vmdk_open_extents(struct vmdk *vmdk, struct err *err);
void vmdk_close_extents(struct vmdk *vmdk);

/* A stretch of an extent that lies in its file in one piece. */
struct vmdk_run {
	bool zeros;
	bool packed;			/* in a compressed grain */
	uint64_t at;			/* bytes of the file; packed: where the grain begins */
	uint64_t len;			/* bytes */
};

/*
 * The run at off of a sparse extent, at most max bytes, by the grain table that
 * holds it.  -EIO when a grain cannot be where the table says.  Any thread.
 */
int vmdk_run_find(struct vmdk_run *run, const struct vmdk_extent *extent, const uint8_t *table,
		  uint64_t off, uint64_t max);

#endif
