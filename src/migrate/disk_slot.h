/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_slot.h - a few requests to disks from a thread that is no loop's.
 *
 * One thread.
 */
#ifndef MIGRATE_DISK_SLOT_H
#define MIGRATE_DISK_SLOT_H

#include "block/disk.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

#define DISK_SLOTS	4

struct disk_slot {
	struct disk_request request;
	char *bytes;			/* MESSAGE_DISK_PIECE of them */
	struct disk *disk;
	struct iovec seg;
	struct loop_task submit;
	bool busy;
	int result;
	sem_t done;
};

/* DISK_SLOTS of them.  -ENOMEM; to be ended all the same. */
int disk_slot_init_all(struct disk_slot *slots);
void disk_slot_fini_all(struct disk_slot *slots);	/* none is busy */

/* One that is not busy; a piece at most. */
void disk_slot_begin(struct disk_slot *slot, struct disk *disk, enum disk_op op, uint64_t at,
		     uint64_t len);

/* What has become of its request, if there is one. */
int disk_slot_await(struct disk_slot *slot, struct err *err);

#endif
