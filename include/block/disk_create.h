/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_create.h - makes new images, and changes the size of those there are.
 */
#ifndef BLOCK_DISK_CREATE_H
#define BLOCK_DISK_CREATE_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct err;

/* By which method the clusters of a qcow2 image are compressed, once some are. */
enum disk_compression {
	DISK_COMPRESSION_NONE,		/* by the usual one */
	DISK_COMPRESSION_ZLIB,
	DISK_COMPRESSION_ZSTD,
};

struct disk_create {
	const char *format;	/* NULL: by the ending of the path, else raw */
	uint64_t size;		/* bytes that a guest sees */
	uint32_t cluster_size;	/* qcow2: bytes; 0: the usual one */
	enum disk_compression compression;	/* qcow2 */

	/* qcow2: what it does not hold is there; NULL: zeros.  As the image is to say it. */
	const char *backing, *backing_format;
};

/*
 * Make an image in the file fd, which is empty and open for writing.  path is the
 * name that it is going to have.  *ret_format is what to open it as.  Main.
 */
int disk_create(int fd, const char *path, const struct disk_create *create,
		const char **ret_format, struct err *err);

/*
 * Keep everybody from what is at path, which is going to be replaced, until the
 * descriptor that this returns is closed.  Refuses what a VM or another process uses, or
 * what a disk that is open has behind it.  Main.
 */
int disk_create_claim(const char *path, struct err *err);

/*
 * Have disk hold size bytes, a multiple of its block size, and this durable.  What is
 * cut off is lost, and does not come back when the disk grows again.  A power cut
 * leaves one size or the other.  No request is in flight, and the loop does not run.
 * Afterwards disk is only to be closed.  Main.
 */
int disk_create_resize(struct disk *disk, uint64_t size, struct err *err);

#endif
