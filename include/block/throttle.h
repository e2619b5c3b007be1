/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h - how much a disk, or several together, may do in a second.
 *
 * Each limit is a bucket with a leak: a request adds to it what it moves, avg
 * leaks out each second, and while there is more in it than it holds, requests
 * wait.  It holds max times length, so that a disk which was idle may go on at max
 * for length seconds; without max it holds a tenth of avg.  A request is let
 * through whole, however big; those after it wait the longer.
 *
 *	throttle_group_new() --disk_set_throttle()--> shared by disks --the last leaves--> gone
 *
 * The disks of a group belong to one loop, and so does the group.  "Owner" means
 * that loop.
 */
#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct throttle_group;

#define THROTTLE_MAX	UINT64_C(1000000000000000)	/* of avg, max, and max times length */

enum throttle_kind {
	THROTTLE_BPS,		/* bytes, both ways together */
	THROTTLE_BPS_RD,
	THROTTLE_BPS_WR,
	THROTTLE_IOPS,		/* requests */
	THROTTLE_IOPS_RD,
	THROTTLE_IOPS_WR,
	THROTTLE_NR_KINDS,
};

struct throttle_limit {
	uint64_t avg;		/* a second; 0: none */
	uint64_t max;		/* a second, for a while; 0: see above */
	uint64_t length;	/* of that while, seconds; 0: 1 */
};

struct throttle_limits {
	struct throttle_limit of[THROTTLE_NR_KINDS];
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
