/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_map.h - how a disk's bytes are stored, and what its image is like.
 *
 * For tools: this reads tables of the image at once, so that whoever serves a guest
 * has no time for it.  Main, or owner; nothing may be about to change the image.
 */
#ifndef BLOCK_DISK_MAP_H
#define BLOCK_DISK_MAP_H

#include <stdint.h>

struct disk;
struct err;

enum disk_stored {
	DISK_STORED_NOT,		/* nowhere: zeros */
	DISK_STORED_ZERO,		/* as a note that these are zeros */
	DISK_STORED_DATA,		/* as they are */
	DISK_STORED_COMPRESSED,
};

/* Bytes in a row that are stored alike. */
struct disk_extent {
	uint64_t at, len;
	enum disk_stored stored;
	unsigned depth;			/* 0: in the image; 1: in its backing file ... */
	uint64_t host;			/* data: where in the file; else 0 */
};

/* The extent that begins at at, which is within the disk; it may be cut anywhere. */
int disk_map(struct disk *disk, uint64_t at, struct disk_extent *ret_extent, struct err *err);

/* What there is to say of an image beyond its size: text, or a number where it is NULL. */
typedef void disk_fact(void *ctx, const char *key, const char *text, uint64_t number);

void disk_map_facts(const struct disk *disk, disk_fact *fact, void *ctx);

#endif
