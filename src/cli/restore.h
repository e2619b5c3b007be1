/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - a VM that goes on where a snapshot was taken, for the commands that do so.
 */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot;
struct vm_config;

struct restore_how {
	bool clock;			/* the guest's clocks have gone on meanwhile */
	bool prefetch;			/* read the working set ahead */
	uint32_t record;		/* seconds after which to note it; 0: do not */
};

/* Give each card a new address, unless it has got one. */
void restore_renew_macs(struct vm_config *vm);

/*
 * As run_go() (run.h) with vm, which has been checked.  *snapshot is NULL afterwards where it
 * was used up, and else still the caller's.
 */
int restore_run(struct snapshot **snapshot, struct vm_config *vm, const struct restore_how *how);

#endif
