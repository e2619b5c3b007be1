/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_target.h - a new image that appears under its name when it is complete.
 *
 * Until then it is a file of another name in the same folder, which vanishes unless
 * it is published.  What the target's name stood for before is untouched till then.
 */
#ifndef CLI_DISK_TARGET_H
#define CLI_DISK_TARGET_H

#include "block/disk_create.h"

#include <limits.h>
#include <stdbool.h>

struct err;

struct disk_target {
	const char *path;		/* where it is going to be */
	int replaced;			/* what is there, locked; or -1 */
	const char *format;		/* what to open it as */
	char temporary[PATH_MAX];	/* "": there is none */
};

/* Without replace, refused if path exists; with it, if that is in use.  path outlives the
 * target, which disk_target_remove() ends, published or not. */
int disk_target_create(struct disk_target *target, const char *path, bool replace,
		       const struct disk_create *image, struct err *err);

/* The disk of temporary has been flushed and closed; durable when this returns. */
int disk_target_publish(struct disk_target *target, struct err *err);

/* Remove what was not published, and unlock what was there. */
void disk_target_remove(struct disk_target *target);

#endif
