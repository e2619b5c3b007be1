/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_check.h - counts all references of an image, and compares.
 */
#ifndef BLOCK_QCOW2_CHECK_H
#define BLOCK_QCOW2_CHECK_H

#include <stdint.h>

struct disk_progress;
struct err;

enum qcow2_check_fix {
	QCOW2_CHECK_FIX_NONE,
	QCOW2_CHECK_FIX_LEAKS,		/* give back what nothing refers to */
	QCOW2_CHECK_FIX_ALL,		/* counts, flags, and the dirty and corrupt bits */
};

/* What was found; after a repair, what of it is left. */
struct qcow2_check {
	uint64_t nr_clusters;		/* that something refers to */
	uint64_t nr_leaks;		/* clusters counted more often than referred to */
	uint64_t nr_corruptions;	/* all that can lose data */
	uint64_t nr_fixed;
};

/*
 * fd is locked by the caller and, to fix something, writable; path is for
 * messages.  0 when the image could be checked, whatever was found.  What cannot be put
 * right as a whole is left as it is.  A power cut during a repair leaves an image that is
 * no worse than before.  Main.
 */
int qcow2_check(struct qcow2_check *check, int fd, const char *path,
		enum qcow2_check_fix fix, const struct disk_progress *progress,
		struct err *err);

#endif
