/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_chain.h - an image and the file behind it.
 *
 * For tools that move data from one to the other, or put another file there.  Main;
 * nothing is in flight, and the loop does not run.
 */
#ifndef BLOCK_DISK_CHAIN_H
#define BLOCK_DISK_CHAIN_H

struct disk;
struct err;

/*
 * The disk of the backing file, or NULL.  It goes with disk.  Writable where disk was
 * opened with DISK_BEHIND_WRITE; what is written shows in disk, too.
 */
struct disk *disk_chain_backing(const struct disk *disk);

/*
 * Give up all that the image holds itself, so that the disk reads as its backing file
 * does, and the space.  Durable; a power cut leaves some parts given up, others not.
 * Afterwards disk is only to be closed.
 */
int disk_chain_empty(struct disk *disk, struct err *err);

/*
 * Have the image name another backing file, or none: NULL.  format may be NULL: by the
 * ending of backing, else raw.  The file is not looked at.  Durable; a power cut leaves
 * the one name or the other.  Afterwards disk is only to be closed.
 */
int disk_chain_set_backing(struct disk *disk, const char *backing, const char *format,
			   struct err *err);

#endif
