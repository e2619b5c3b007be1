/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_copy.h - one disk's bytes to another.
 *
 * What the first disk does not store is not read.  Several requests are in flight,
 * each with a buffer; buffers are all the memory that it takes.
 */
#ifndef CLI_DISK_COPY_H
#define CLI_DISK_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct disk_packers;
struct disk_tool;
struct err;

struct disk_copy {
	struct disk *from, *to;		/* to is at least as large */
	const char *from_path, *to_path;	/* for messages */
	const char *what;		/* "converting" */

	/* to is new: what is not written reads as zeros; so zeros need not be. */
	bool to_is_new;
	uint32_t unit;			/* bytes of zeros that are worth leaving out */

	unsigned depth_max;		/* of extents; what is deeper is left out */

	/*
	 * from and to are one overlay that is going to have another backing file, or
	 * none: NULL.  What it does not hold itself is copied where the new one differs.
	 */
	bool rebase;
	struct disk *new_backing;

	/* Instead of to: who compresses it, unit by unit.  What they write is not flushed. */
	struct disk_packers *packers;
};

/* If 0, all of it is durable. */
int disk_copy_run(struct disk_tool *tool, const struct disk_copy *copy, struct err *err);

/* Does it hold nothing but zeros? */
bool disk_copy_is_zero(const uint8_t *bytes, uint64_t len);

#endif
