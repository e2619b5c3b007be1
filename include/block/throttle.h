/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h - how much a disk, or several together, may do in a second.
 *
 * Each limit is a bucket (base/bucket.h) to which a request adds what it moves.  A
 * request is let through whole, however big; those after it wait the longer.
 *
 *	throttle_group_new() --disk_set_throttle()--> shared by disks --the last leaves--> gone
 *
 * The disks of a group belong to one loop, and so does the group.  "Owner" means
 * that loop.
 */
#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include "base/bucket.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct throttle_group;

enum throttle_kind {
	THROTTLE_BPS,		/* bytes, both ways together */
	THROTTLE_BPS_RD,
	THROTTLE_BPS_WR,
	THROTTLE_IOPS,		/* requests */
	THROTTLE_IOPS_RD,
	THROTTLE_IOPS_WR,
	THROTTLE_NR_KINDS,
};

struct throttle_limits {
	struct bucket_limit of[THROTTLE_NR_KINDS];
	uint64_t iops_size;	/* bytes that count as one request; 0: any number */
};

/* -EINVAL and, in QEMU's words, what contradicts what. */
int throttle_check(const struct throttle_limits *limits, struct err *err);

/* Is anything limited? */
bool throttle_any(const struct throttle_limits *limits);
bool throttle_equal(const struct throttle_limits *a, const struct throttle_limits *b);

/* Without limits, for disks to join; NULL: no memory.  Main. */
struct throttle_group *throttle_group_new(struct loop *loop, const char *name);

/* From now on, for what waits as well, and as if nothing had been done before.  Owner. */
void throttle_group_set(struct throttle_group *group, const struct throttle_limits *limits);

/* Owner, or whoever has the owner make all changes. */
const struct throttle_limits *throttle_group_limits(const struct throttle_group *group);

/* Fixed; any thread. */
const char *throttle_group_name(const struct throttle_group *group);
struct loop *throttle_group_loop(const struct throttle_group *group);

#endif
