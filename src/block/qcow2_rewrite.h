/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_rewrite.h - gives an image new tables, all at once.
 *
 *	qcow2_rewrite_init	what is there is counted, and kept as it is
 *	... change next		its L1 table, size, list of snapshots
 *	qcow2_rewrite_count	what it refers to is counted, flags are set
 *	qcow2_rewrite_commit	the image is what next says
 *
 * New tables, refcounts among them, go where nothing is.  The header names them all
 * within its first sector, so that one write makes the change: until it is on the
 * disk the image is the old one, from then on the new one.  What only the old one
 * used is given back to the host.
 *
 * Main, with the image to itself.
 */
#ifndef BLOCK_QCOW2_REWRITE_H
#define BLOCK_QCOW2_REWRITE_H

#include "block/qcow2_walk.h"

#include <stdint.h>

struct disk_progress;
struct err;

struct qcow2_rewrite {
	struct qcow2_walk now;		/* its counts: what must not be overwritten */
	struct qcow2_walk next;
	uint64_t hint;			/* no cluster below is free */
	uint64_t end;			/* of the file, to be cut off there; 0: no more */
};

/*
 * Refuses a damaged image.  fd is writable and locked; path, for messages, and progress,
 * if any, outlive this.
 */
int qcow2_rewrite_init(struct qcow2_rewrite *rw, int fd, const char *path,
		       const struct disk_progress *progress, struct err *err);

/* What was not committed leaves the image as long as it was. */
void qcow2_rewrite_fini(struct qcow2_rewrite *rw);

/* Write len bytes, whole clusters of a table, to where nothing is. */
int qcow2_rewrite_put(struct qcow2_rewrite *rw, const uint8_t *bytes, uint64_t len,
		      uint64_t *ret_at);

/* Write the first nr entries of next's L1 table, and count it. */
int qcow2_rewrite_put_l1(struct qcow2_rewrite *rw, uint32_t nr, uint64_t *ret_at);

/*
 * A snapshot is to share the first nr_shared entries of next's L1 table, apart from
 * those in its list.  Tables whose flags become others move.
 */
int qcow2_rewrite_count(struct qcow2_rewrite *rw, uint32_t nr_shared, struct err *err);

/* The image is durable, in one state or the other, whatever this returns. */
int qcow2_rewrite_commit(struct qcow2_rewrite *rw, struct err *err);

#endif
