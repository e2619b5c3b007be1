/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - a disk format, between disk.c and the file of the format.
 *
 * A format turns requests to the disk into requests to its file.
 */
#ifndef BLOCK_FORMAT_H
#define BLOCK_FORMAT_H

#include "block/disk.h"
#include "file.h"

struct disk_format {
	const char *name;

	/* Judge the file, which is open, and set disk->size.  Main. */
	int (*open)(struct disk *disk, const struct disk_config *config, struct err *err);

	/* request lies within the disk and is allowed.  Owner. */
	void (*submit)(struct disk *disk, struct disk_request *request);
};

struct disk {
	const struct disk_format *format;
	struct file file;
	struct loop *loop;
	uint64_t size;			/* bytes */
};

extern const struct disk_format disk_format_raw;

/* Complete a request at the end of this turn, without I/O. */
void disk_complete(struct disk_request *request, struct loop *loop, int res);

#endif
