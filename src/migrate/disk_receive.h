/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_receive.h - what comes of a VM's disks, to where it belongs.
 *
 * The same piece always goes by way of the same slot, and so its later version is written
 * later.  Every now and then all is made durable, so that little is left to be when the guest
 * stands still for it.
 *
 * One thread, which is no loop's.
 */
#ifndef MIGRATE_DISK_RECEIVE_H
#define MIGRATE_DISK_RECEIVE_H

#include "message.h"

struct channel;
struct disk;
struct disk_receiver;
struct err;

/* NULL: no memory. */
struct disk_receiver *disk_receiver_new(void);
struct disk_receiver *disk_receiver_free(struct disk_receiver *receiver);	/* -> NULL */

/* The first to be added is number 0; MESSAGE_DISKS_MAX at most. */
void disk_receiver_add(struct disk_receiver *receiver, struct disk *disk);

/*
 * Receive the bytes of a message about disks and do what it says.  1: it is of another
 * kind, and its bytes are still to come; or 0, or a negative errno with the reason.
 */
int disk_receiver_take(struct disk_receiver *receiver, struct channel *channel,
		       const struct message *message, struct err *err);

/* All that has come is durable when this returns. */
int disk_receiver_flush(struct disk_receiver *receiver, struct err *err);

#endif
