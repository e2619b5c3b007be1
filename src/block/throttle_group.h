/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle_group.h - requests of disks that share limits wait for their turn.
 *
 * Each member has a row for reads and one for what writes; within a row nobody
 * overtakes.  Reads and writes take turns, and so do the members, so that none of
 * them can keep the others away however much it asks for.  Owner, all of it.
 */
#ifndef BLOCK_THROTTLE_GROUP_H
#define BLOCK_THROTTLE_GROUP_H

#include "block/throttle.h"

#include <stdbool.h>

struct disk_request;

struct throttle_member {
	void (*start)(struct throttle_member *member, struct disk_request *request);
	struct throttle_group *group;		/* NULL: none */
	struct throttle_member *next;		/* in the ring of the group */
	struct throttle_row {
		struct disk_request *first, *last;
	} rows[2];
};

/*
 * Leave the old group, which is freed if nobody is left in it, and join this.  What
 * waits goes along; without a group it starts at once.
 */
void throttle_group_join(struct throttle_group *group, struct throttle_member *member);

/* The member has a group; request is no flush.  start() is called now or later. */
void throttle_group_submit(struct throttle_member *member, struct disk_request *request);

/* The first that waits is taken back; NULL: none waits. */
struct disk_request *throttle_group_withdraw(struct throttle_member *member);

#endif
