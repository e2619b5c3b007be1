/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_overlay.h - a disk whose image is only read: what is written goes elsewhere.
 *
 * Elsewhere is a qcow2 image whose backing file is the disk's image.
 */
#ifndef BLOCK_DISK_OVERLAY_H
#define BLOCK_DISK_OVERLAY_H

#include <stdbool.h>

struct disk;
struct disk_config;
struct err;
struct loop;

#define DISK_OVERLAY_TEMPORARY "temporary"

/*
 * As disk_open(), but read config's image only, and write to the file overlay.  It is
 * made if it does not exist, unless the disk is to be asleep; if it does, it has to be
 * an overlay of this image.  DISK_OVERLAY_TEMPORARY: a file without a name, which is gone
 * with the disk, and which disk_sleep() refuses.  *ret_made: the file was made, and is
 * there even if it cannot be opened then.  Main.
 */
int disk_overlay_open(struct disk **ret_disk, const struct disk_config *config,
		      const char *overlay, struct loop *loop, bool *ret_made, struct err *err);

#endif
