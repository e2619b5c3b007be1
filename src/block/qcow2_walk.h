/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_walk.h - follows all that an image refers to, and counts.
 *
 * The counts tell what the image's own refcounts should be.  Main, with the image
 * to itself.
 */
#ifndef BLOCK_QCOW2_WALK_H
#define BLOCK_QCOW2_WALK_H

#include "block/qcow2_header.h"
#include "block/qcow2_map.h"
#include "block/qcow2_snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct disk_progress;
struct err;

#define QCOW2_WALK_CLUSTERS_MAX	BIT64(30)

struct qcow2_walk {
	int fd;
	const char *path;
	struct qcow2_header header;
	struct qcow2_geometry geo;	/* whose slice is a whole table */
	uint64_t cluster;		/* bytes */
	uint64_t nr;			/* clusters of the file */
	uint32_t *counts;		/* of each */
	uint32_t *seen;			/* of each: in which round a table there was met last */
	uint32_t round;
	uint64_t *l1, *reftable;
	uint64_t nr_reftable, per_block;
	struct qcow2_snapshots snapshots;
	uint8_t *table;			/* an L2 table */
	uint8_t *block;			/* a refcount block */
	uint64_t nr_broken;		/* references that lead nowhere, and the like */
	bool broken_refcounts;		/* some are among the refcounts themselves */
	const struct disk_progress *progress;
	uint64_t nr_tables;		/* places of L2 tables, in all L1 tables */
	uint64_t nr_seen, nr_to_see;	/* places of tables, as a check looks at them */
};

/* Read the header and the tables that it names.  path and progress outlive this. */
int qcow2_walk_init(struct qcow2_walk *walk, int fd, const char *path,
		    const struct disk_progress *progress, struct err *err);
void qcow2_walk_fini(struct qcow2_walk *walk);

/* One more table has been seen. */
void qcow2_walk_step(struct qcow2_walk *walk);

/* Count all but the refcount structures, then those. */
int qcow2_walk_data(struct qcow2_walk *walk, struct err *err);
void qcow2_walk_refcounts(struct qcow2_walk *walk);

/* As qcow2_walk_data(), without the active L1 table itself and that of snapshots. */
int qcow2_walk_content(struct qcow2_walk *walk, struct err *err);

/* Count once more what the first nr entries of the active L1 table lead to. */
int qcow2_walk_again(struct qcow2_walk *walk, uint32_t nr, struct err *err);

/*
 * Set or clear "copied" in the L2 table that was read into walk->table, as the counts
 * demand.  Returns how many entries changed.
 */
uint64_t qcow2_walk_set_flags(struct qcow2_walk *walk);

/* How often the cluster at host is referred to. */
uint32_t qcow2_walk_count(const struct qcow2_walk *walk, uint64_t host);

/*
 * Tables are looked at in rounds, one for each L1 table.  Is the one at at, which is within
 * the file, met for the first time in this one?  A second time would be damage.
 */
void qcow2_walk_begin(struct qcow2_walk *walk);
bool qcow2_walk_meets(struct qcow2_walk *walk, uint64_t at);

/* The place of a refcount block that can be used, or 0. */
uint64_t qcow2_walk_block(const struct qcow2_walk *walk, uint64_t index);

/* The place of the L2 table of an L1 entry that can be used, or 0. */
uint64_t qcow2_walk_table(const struct qcow2_walk *walk, uint64_t entry);

#endif
