/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_pack.h - fills a new image with compressed data.
 *
 * Units of the disk, in any order and each at most once, are compressed by any number of
 * threads, each with a packer of its own, and written one behind the other.  What is
 * never written reads as zeros.  Before disk_pack_finish() the file is no usable image.
 */
#ifndef BLOCK_DISK_PACK_H
#define BLOCK_DISK_PACK_H

#include <stdint.h>

struct disk_pack;
struct disk_packer;
struct err;

/* path is an image that disk_create() has made for this, and outlives the pack.  Main. */
int disk_pack_open(struct disk_pack **ret_pack, const char *path, struct err *err);

/* Write the tables, and make all durable.  Main, when every packer is gone. */
int disk_pack_finish(struct disk_pack *pack, struct err *err);
struct disk_pack *disk_pack_close(struct disk_pack *pack);	/* -> NULL */

uint64_t disk_pack_unit(const struct disk_pack *pack);	/* bytes */

/* Of one thread.  NULL without memory. */
struct disk_packer *disk_packer_new(struct disk_pack *pack);
struct disk_packer *disk_packer_free(struct disk_packer *packer);	/* -> NULL */

/* Write the unit at at, a multiple of it; beyond the end of the disk bytes are zeros. */
int disk_packer_write(struct disk_packer *packer, uint64_t at, const uint8_t *bytes);

#endif
