/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_snapshot.h - states of a disk that its image keeps beside the present one.
 *
 * A snapshot shares with the disk what has not been written since.  A change is
 * durable when the call returns, and happens as a whole or, should the power fail,
 * not at all.
 */
#ifndef BLOCK_DISK_SNAPSHOT_H
#define BLOCK_DISK_SNAPSHOT_H

#include <stdint.h>

struct disk_config;
struct err;

#define DISK_SNAPSHOT_NAME_MAX	255	/* bytes */

struct disk_snapshot {
	const char *id;		/* a number, by which it can be called, too */
	const char *name;
	uint64_t seconds;	/* since the epoch: when it was taken */
	uint64_t size;		/* bytes of the disk then */
	uint64_t vm_state_len;	/* bytes of a VM's state that lie beside it */
};

enum disk_snapshot_change {
	DISK_SNAPSHOT_CREATE,	/* of the disk as it is */
	DISK_SNAPSHOT_APPLY,	/* the disk becomes what the snapshot holds, and as long */
	DISK_SNAPSHOT_DELETE,
};

/* Of the image of config, whose disk is not open.  Main. */
int disk_snapshot_change(const struct disk_config *config, enum disk_snapshot_change change,
			 const char *name, struct err *err);

/*
 * Tell each snapshot, in the order of the image; the texts are each()'s for the call,
 * and may hold anything.  A disk may be open, if only to be read.  Main.
 */
typedef void disk_snapshot_each(void *ctx, const struct disk_snapshot *snapshot);

int disk_snapshot_list(const struct disk_config *config, disk_snapshot_each *each, void *ctx,
		       struct err *err);

#endif
