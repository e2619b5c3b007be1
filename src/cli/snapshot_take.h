/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_take.h - has a running VM write a snapshot of itself.
 */
#ifndef CLI_SNAPSHOT_TAKE_H
#define CLI_SNAPSHOT_TAKE_H

#include <jansson.h>
#include <stdbool.h>

struct err;

/* As the options of vmm snapshot have it. */
struct snapshot_take {
	bool diff, track, stop, force;
};

/* Returns when it is there; what is told of it is the caller's.  ret_result may be NULL. */
int snapshot_take(const char *name, const char *dir, const struct snapshot_take *how,
		  json_t **ret_result, struct err *err);

#endif
