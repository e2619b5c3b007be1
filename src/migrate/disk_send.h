/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_send.h - a VM's disks on their way to another monitor, while the guest writes them.
 *
 * Each has a log of what is written to it (block/disk.h).  What it names is read through the
 * disk, whatever its format, a few pieces at a time, and sent in order:
 *
 *	new() --> add() --> take(), send() in rounds --> guest stops --> take(), send() --> free()
 *
 * new, add and free: main.  The rest: one thread, which is no loop's.
 */
#ifndef MIGRATE_DISK_SEND_H
#define MIGRATE_DISK_SEND_H

#include "message.h"

#include <stdatomic.h>
#include <stdint.h>

struct disk;
struct disk_sender;
struct err;

/* Any thread. */
struct disk_sent {
	atomic_uint_least64_t bytes;	/* on the wire */
	atomic_uint_least64_t left;	/* bytes of the disks that are known to be missing */
};

struct disk_sender_config {
	/* 0, or a negative errno and the reason. */
	int (*send)(void *ctx, const struct message *message, const void *bytes,
		    struct err *err);
	void *ctx;
	struct disk_sent *sent;
};

/* NULL: no memory. */
struct disk_sender *disk_sender_new(const struct disk_sender_config *config);
struct disk_sender *disk_sender_free(struct disk_sender *sender);	/* -> NULL */

/* From now on it is logged; the first to be added is number 0.  -ENOMEM. */
int disk_sender_add(struct disk_sender *sender, struct disk *disk);

/* All of the disks at first, later what was written since: returns how much is to be sent. */
uint64_t disk_sender_take(struct disk_sender *sender);
int disk_sender_send(struct disk_sender *sender, struct err *err);

#endif
