/* SPDX-License-Identifier: Apache-2.0 */
/*
 * working_set.h - the memory that a restored VM uses at first: noted once, and read ahead
 * from the disk for those that are restored later.
 *
 * It is the file "working-set" of a snapshot's folder, a bit for each page.  Nothing but
 * time depends on it: a snapshot where it is absent or damaged is as good as any.
 *
 * Main.
 */
#ifndef MIGRATE_WORKING_SET_H
#define MIGRATE_WORKING_SET_H

#include <stdint.h>

struct err;
struct loop;
struct machine;
struct prefetch;
struct ram;
struct recorder;
struct snapshot;

/*
 * Notes what a machine has touched of its RAM, to which the snapshot was mapped just now,
 * when so many seconds have passed since recorder_start(), or when it is reset or ends
 * before.  Until then the machine is held (machine/machine_state.h), and its memory comes
 * from the disk page by page.  The snapshot may be closed before.
 */
int recorder_new(struct recorder **ret_recorder, const struct snapshot *snapshot,
		 const struct ram *ram, uint32_t seconds, struct err *err);
void recorder_start(struct recorder *recorder, struct machine *machine, struct loop *main);

/* The machine is gone.  -> NULL */
struct recorder *recorder_free(struct recorder *recorder);

/*
 * Have a thread read the working set into the host's cache.  Takes the snapshot.  NULL, and
 * a line in the log, where that cannot be.
 */
struct prefetch *prefetch_start(struct snapshot *snapshot);
struct prefetch *prefetch_stop(struct prefetch *prefetch);	/* -> NULL */

#endif
