/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_check.h - is an image in order, and can it be put in order?
 */
#ifndef BLOCK_DISK_CHECK_H
#define BLOCK_DISK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct disk_config;
struct err;

/* What was found; after a repair, what of it is left. */
struct disk_check {
	uint64_t nr_clusters;		/* in use */
	uint64_t nr_leaks;		/* clusters that are lost: harmless */
	uint64_t nr_corruptions;	/* all that can lose data */
	uint64_t nr_fixed;
};

/*
 * Look at all of the image of config, whose disk is not open; with repair, write to
 * it.  0 when it could be looked at, whatever was found.  Main.
 */
int disk_check(struct disk_check *check, const struct disk_config *config, bool repair,
	       struct err *err);

#endif
