/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_repair.h - makes an image's refcounts what was counted.
 */
#ifndef BLOCK_QCOW2_REPAIR_H
#define BLOCK_QCOW2_REPAIR_H

#include "block/qcow2_walk.h"

/*
 * Would a repair leave nothing damaged?  anew: one that begins with new refcounts, the
 * counts being those without refcount structures.
 */
bool qcow2_repair_is_possible(const struct qcow2_walk *walk, bool anew);

/*
 * Set stored counts to what was counted: those that are too low, or those that are
 * too high.  Adds to *nr_fixed.
 */
int qcow2_repair_counts(struct qcow2_walk *walk, bool too_low, uint64_t *nr_fixed);

/* Set or clear "copied" in the active tables as the counts demand. */
int qcow2_repair_flags(struct qcow2_walk *walk, uint64_t *nr_fixed);

/* Write new refcounts behind all that is there, and have the header name them. */
int qcow2_repair_rebuild(struct qcow2_walk *walk);

/* The image was left in good order: clear the dirty and corrupt bits. */
int qcow2_repair_clear_marks(struct qcow2_walk *walk);

#endif
